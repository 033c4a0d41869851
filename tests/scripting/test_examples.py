"""The examples and the notebook do what they show; `import mubench` costs nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SHOWN = {
    "own_model": ("SalUn", "small_mlp"),
    "own_data": ("one of three stripes", "RL"),
    "own_method": ("Smooth", "Empty DataFrame"),
    "bring_your_logits": ("Early", "Made elsewhere"),
}


def python(*words, cwd):
    env = {**os.environ, "MUBENCH_STORE": str(cwd / "store"), "PYTHONWARNINGS": "error::DeprecationWarning"}
    words = [sys.executable, *map(str, words)]
    return subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_every_example_is_run():
    assert {*SHOWN} == {path.stem for path in EXAMPLES.glob("*.py")}


@pytest.mark.slow
@pytest.mark.parametrize("name", SHOWN)
def test_example(name, tmp_path):
    done = python(EXAMPLES / f"{name}.py", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "Avg. Gap" in done.stdout or "mia_svc" in done.stdout
    assert "FAILED" not in done.stdout
    assert [word for word in SHOWN[name] if word not in done.stdout + done.stderr] == []
    assert {path.name for path in tmp_path.iterdir()} <= {"store"}


def test_the_shortest_example_is_twenty_lines_or_less():
    lines = (EXAMPLES / "own_model.py").read_text(encoding="utf-8").splitlines()

    assert len([line for line in lines if line.strip()]) <= 20


@pytest.mark.slow
def test_notebook(tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    monkeypatch.setenv("MUBENCH_STORE", str(tmp_path / "store"))
    notebook = nbformat.read(EXAMPLES / "tour.ipynb", as_version=4)
    client.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": tmp_path}}).execute()

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    html = [o["data"]["text/html"] for o in outputs if "text/html" in o.get("data", {})]
    assert any("<td>Fade</td>" in page for page in html)
    assert any("image/png" in o.get("data", {}) for o in outputs)


def test_importing_mubench_imports_next_to_nothing(tmp_path):
    code = (
        "import sys, mubench; print(sorted({m.partition('.')[0] for m in sys.modules} & set(sys.argv[1:])))"
    )
    done = python("-c", code, "torch", "numpy", "pandas", "pydantic", "matplotlib", "click", cwd=tmp_path)

    assert done.stdout.strip() == "[]"
