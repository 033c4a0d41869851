"""What the README promises is what the project holds."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _commands() -> list[str]:
    return [line for block in re.findall(r"```sh\n(.*?)```", README, re.S) for line in block.splitlines()]


def test_the_gate_runs_exactly_the_readmes_test_command() -> None:
    tests = [line for line in _commands() if line.endswith("tox")]
    assert len(tests) == 1
    assert tests[0] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_the_readmes_table_is_the_one_the_program_wrote() -> None:
    written = (ROOT / "results" / "published" / "cifar10-random-10-small" / "table.md").read_text(
        encoding="utf-8"
    )
    shown = re.search(r"<!-- table -->\n(.*?)\n<!-- /table -->", README, re.S)
    assert shown is not None
    assert shown.group(1).strip() == written.strip()


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 120


def test_the_readmes_picture_exists() -> None:
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", README)
    assert pictures
    assert [p for p in pictures if not (ROOT / p).is_file()] == []


def test_every_command_and_option_of_the_readme_exists() -> None:
    from mubench.cli import main

    for line in _commands():
        for call in re.findall(r"mubench (\w.*?)(?:#|&&|$)", line):
            words = call.split()
            command = main.commands.get(words[0])
            assert command is not None, line
            known = {o for p in command.params for o in p.opts}
            assert [w for w in words if w.startswith("--") and w not in known] == [], line


@pytest.mark.parametrize("name", ["half-hearted"])
def test_the_readmes_plugin_loads(name: str, tmp_path: Path) -> None:
    from mubench.discovery.find import load_plugin

    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    file = tmp_path / "half_hearted.py"
    file.write_text(code, encoding="utf-8")
    (spec,) = load_plugin(file)
    assert (spec.name, spec.sees, spec.parameters[0].name) == (name, ("forget",), "lr")


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone")
def test_git_ignores_what_a_run_writes_but_not_what_is_published(tmp_path: Path) -> None:
    from mubench.commands.request import Request
    from mubench.storage.store import Store

    store = Store(tmp_path)
    folders = [Request("digits-random-50", store, publish=publish).folder for publish in (False, True)]
    assert folders == [Path("results/digits-random-50"), Path("results/published/digits-random-50")]
    paths = [str(folder / "table.md") for folder in folders]
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", *paths], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == paths[:1]
