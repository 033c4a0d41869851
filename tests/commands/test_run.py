"""A whole run, as a user starts it: what is written, what is trained again, what a failure leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from mubench.cli import main

SUITE = """
title = "tiny"
dataset = "digits"
model = "small-cnn"
seeds = [0, 1]
forget = { scenario = "random", percent = 10 }
batch_size = 128
precision = "fp32"
methods = { FT = { epochs = 1 }, GA = { epochs = 1 } }
[original]
epochs = 1
lr = 0.05
milestones = []
"""


def _run(folder: Path, *arguments: str, suite: str = SUITE, name: str = "tiny") -> tuple[int, str]:
    path = folder / f"{name}.toml"
    path.write_text(suite, encoding="utf-8")
    options = ["--suite", str(path), "--store", str(folder / "store"), "--out", str(folder / "out")]
    result = CliRunner().invoke(main, ["run", *options, *arguments], catch_exceptions=False)
    return result.exit_code, result.output


def _logits(folder: Path) -> dict[str, np.ndarray]:
    """Cell key -> its forget logits, for every record with outputs."""
    from safetensors.numpy import load_file

    files = (folder / "store" / "records").glob("*/*/outputs.safetensors")
    found = {f.parent.name: load_file(f) for f in files}
    return {key: arrays["logits.forget"] for key, arrays in found.items() if arrays}


def _same(one: dict[str, np.ndarray], two: dict[str, np.ndarray]) -> bool:
    return one.keys() == two.keys() and all(np.array_equal(one[k], two[k]) for k in one)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, in this process."""
    folder = tmp_path_factory.mktemp("whole")
    code, output = _run(folder, "--jobs", "0")
    assert code == 0, output
    return folder


def test_a_run_writes_the_table_and_everything_beside_it(whole: Path) -> None:
    table = pd.read_csv(whole / "out" / "table.csv").set_index("method")
    assert list(table.index) == ["Retrain", "Original", "Retrain (again)", "FT", "GA"]
    assert set(table["status"]) == {"ok"}
    assert table.loc["Retrain", "avg_gap"] == 0
    assert table.loc["Retrain (again)", "avg_gap"] > 0
    names = {p.relative_to(whole / "out").as_posix() for p in (whole / "out").rglob("*") if p.is_file()}
    pictures = {f"plots/{p}.{kind}" for p in ("avg_gap", "confidence") for kind in ("png", "svg")}
    assert {"table.md", "table.tex", "cells.csv", "manifest.json"} | pictures <= names
    cells = pd.read_csv(whole / "out" / "cells.csv")
    assert list(cells["seed"]) == [0, 1] * 5
    ft = cells[cells["method"] == "FT"]
    assert (ft["read_retain"] == 810).all()
    assert (ft[["forward", "backward"]] == 810).all(axis=None)
    assert (ft["read_forget"] == 0).all()


def test_a_second_run_and_a_renamed_suite_train_nothing(whole: Path) -> None:
    before = _logits(whole)
    for name in ("tiny", "renamed"):
        code, output = _run(whole, name=name)
        assert code == 0
        assert "12 of them in the store" in output
    assert _same(before, _logits(whole))


def test_a_second_run_imports_neither_torch_nor_matplotlib(whole: Path) -> None:
    script = """
import sys
from click.testing import CliRunner
from mubench.cli import main
result = CliRunner().invoke(main, ["run", *sys.argv[1:]])
assert result.exit_code == 0, result.output
print(sorted({"torch", "sklearn", "scipy", "matplotlib"} & set(sys.modules)))
"""
    (whole / "again.toml").write_text(SUITE, encoding="utf-8")
    options = ["--suite", "again.toml", "--store", "store", "--out", "out"]
    command = [sys.executable, "-P", "-c", script, *options]
    done = subprocess.run(command, cwd=whole, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_render_gives_the_same_files_without_training(whole: Path) -> None:
    before = (whole / "out" / "table.md").read_text(encoding="utf-8")
    (whole / "out" / "table.md").unlink()
    result = CliRunner().invoke(main, ["render", str(whole / "out"), "--store", str(whole / "store")])
    assert result.exit_code == 0, result.output
    assert (whole / "out" / "table.md").read_text(encoding="utf-8") == before


def test_processes_give_bit_for_bit_what_one_process_gives(whole: Path, tmp_path: Path) -> None:
    code, output = _run(tmp_path, "--jobs", "2")
    assert code == 0, output
    assert _same(_logits(whole), _logits(tmp_path))
    cells = [pd.read_csv(f / "out" / "cells.csv") for f in (whole, tmp_path)]
    times = ["rte", "rte_shared"]
    pd.testing.assert_frame_equal(*[c.drop(columns=times) for c in cells])


def test_a_damaged_record_is_set_aside_and_made_again(whole: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(whole / "store", tmp_path / "store")
    before = _logits(tmp_path)
    records = (tmp_path / "store" / "records").glob("*/*/record.json")
    broken = next(r for r in records if json.loads(r.read_text())["method"]).with_name("outputs.safetensors")
    broken.write_bytes(broken.read_bytes()[:100])
    code, output = _run(tmp_path, "--jobs", "0")
    assert code == 0
    assert "damaged record was set aside" in output
    assert _same(before, _logits(tmp_path))


def test_two_runs_on_one_store_share_the_work(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(SUITE, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "mubench",
        "run",
        "--suite",
        "tiny.toml",
        "--store",
        "store",
        "--jobs",
        "1",
    ]
    both = [
        subprocess.Popen([*command, "--out", f"out{i}"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        for i in range(2)
    ]
    for process in both:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    tables = [pd.read_csv(tmp_path / f"out{i}" / "cells.csv") for i in range(2)]
    pd.testing.assert_frame_equal(*tables)  # times too: each cell was run once
    assert not list((tmp_path / "store" / "damaged").glob("*"))
