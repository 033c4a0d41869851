"""The command line: exit codes, messages for people, and what it leaves on the disk."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import mubench
from mubench.cli import main

MINE = """
@method("Mine", sees="forget", cite="N", search={{"lr": log_uniform(1e-3, 1.0)}})
def mine(model, task, *, lr: float = 0.1):
    "Mine in one line.\\n\\n    And more."
    {}
"""


def folders(home):
    return sorted(p.name for p in (home / "results").iterdir())


def test_a_good_run_prints_the_table_and_exits_with_0(run, home):
    code, out, err = run(change='methods = ["FT"]')

    assert code == 0, err
    rows = [line.split() for line in out.splitlines() if line.startswith(" ") and "─" not in line]
    assert [row[0] for row in rows if row] == ["Method", "Retrain", "Original", "FT"]
    assert "tiny: 4 cells, 0 of them in the store; cpu, fp32\n" in err
    assert "written to results/tiny/" in err
    table = pd.read_csv(home / "results" / "tiny" / "table.csv")
    assert list(table["method"]) == ["Retrain", "Original", "FT"]
    assert table.loc[0, "avg_gap"] == 0
    assert {"table.md", "table.tex", "cells.csv", "manifest.json"} <= {
        p.name for p in (home / "results" / "tiny").iterdir()
    }
    assert (home / "store" / "records").is_dir()


def test_a_failed_method_gives_1_and_the_table_is_still_written(run, home, plugin_file):
    path = plugin_file(MINE.format("1 / 0"))

    code, out, err = run("--plugin", path)

    assert code == 1
    assert "FAILED" in out
    line = path.read_text().splitlines().index("    1 / 0") + 1
    reason = f"ZeroDivisionError: division by zero (mine.py, line {line})"
    assert f"Mine failed at seed 0: {reason}; see: mubench show record " in err
    (folder,) = folders(home)
    table = pd.read_csv(home / "results" / folder / "table.csv").set_index("method")
    assert table["status"].to_dict() == {"Retrain": "ok", "Original": "ok", "Mine": "FAILED"}
    assert table.loc["Mine", ["ua", "avg_gap"]].isna().all()
    assert run("--plugin", path)[0] == 1
    plugin_file(MINE.format("pass"))
    code, _, err = run("--plugin", path)
    assert (code, "3 cells, 3 of them" in err) == (0, False)


def test_a_skipped_method_is_no_failure(run, plugin_file):
    path = plugin_file(MINE.replace('cite="N"', 'cite="N", scenarios=["class"]').format("pass"))

    code, out, _ = run("--plugin", path)

    assert code == 0
    assert "skipped" in out
    assert "not for random forgetting, only class" in out


def test_a_choice_of_rows_brings_retrain_and_original_along(run, home):
    code, _, err = run("--methods", "GA,FT", change='methods = ["FT", "GA", "RL"]')

    assert code == 0, err
    (folder,) = folders(home)
    manifest = json.loads((home / "results" / folder / "manifest.json").read_text())
    assert [r["name"] for r in manifest["rows"]] == ["Retrain", "Original", "GA", "FT"]
    assert manifest["overrides"] == {"methods": "GA,FT"}


def test_an_override_goes_to_a_folder_of_its_own(run, home):
    run()
    run("--set", "original.lr=0.04")
    run("--set", "original.lr=0.03")
    run("--set", "original.lr=0.03")
    code, _, _ = run("--out", "mine", "--set", "original.lr=0.03")

    assert code == 0
    assert len(folders(home)) == 3
    assert "tiny" in folders(home)
    assert sum(name.startswith("tiny-custom-") for name in folders(home)) == 2
    assert (home / "mine" / "table.csv").is_file()


def test_render_trains_nothing_and_gives_the_same_table(run, call, home):
    run(change='methods = ["FT"]')
    folder, records = home / "results" / "tiny", sorted((home / "store").rglob("*.safetensors"))
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    for target in (home / "tiny.toml", folder):
        for name in before:
            if name != "manifest.json":
                (folder / name).unlink()
        code, out, err = call("render", target)
        assert code == 0, err
        assert "FT" in out
        assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert call("render", folder, "--out", "other")[0] == 0
    assert (home / "other" / "table.csv").read_bytes() == before["table.csv"]
    assert sorted((home / "store").rglob("*.safetensors")) == records


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["empty"], "manifest.json: cannot be read"),
        (["damaged"], "not a manifest of mubench"),
        (["nowhere/at"], "there is no such folder or suite file"),
        (["digits-random"], "Did you mean 'digits-random-"),
        (["empty", "--profile", "x"], "--profile and --plugin go with a suite"),
    ],
)
def test_render_of_what_is_no_result(call, home, words, message):
    for name in ("empty", "damaged"):
        (home / name).mkdir()
    (home / "damaged" / "manifest.json").write_text("[]", encoding="utf-8")

    code, _, err = call("render", *words)

    assert code == 2
    assert message in err


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("methods", {"Retrain", "Original", "FT", "GA", "RL", "SalUn", "WSS-CL", "l1-sparse"}),
        ("suites", {"digits-random-10", "digits-random-50", "digits-class-3"}),
        ("datasets", {"digits", "cifar10"}),
        ("masks", {"saliency", "soft"}),
        ("metrics", {"ua", "ra", "ta", "mia", "mia_svc"}),
    ],
)
def test_lists(call, what, names):
    code, out, _ = call("list", what)
    entries = json.loads(call("list", what, "--json")[1])

    assert code == 0
    assert names <= {e["name"] for e in entries}
    for line, entry in zip(out.splitlines(), entries, strict=True):
        assert line.startswith(f"{entry['name']} ")
    assert all(e["summary"] for e in entries)
    kind = what.removesuffix("s")
    for entry in entries:
        if entry["name"] in names:
            assert json.loads(call("show", kind, entry["name"], "--json")[1]) == entry


def test_the_options_of_an_engine_are_shown_for_people(call):
    code, out, _ = call("show", "engine", "slurm")

    assert code == 0
    assert "\nParameters:\n  partition: str = ''\n" in out
    assert "\n  cluster: 'slurm' | 'local' = 'slurm'" in out


def test_show_a_method_of_ones_own(call, plugin_file):
    path = plugin_file(MINE.format("pass"))

    code, out, _ = call("show", "method", "Mine", "--plugin", path)

    assert code == 0
    assert out.startswith("Mine\n\nMine in one line.\n\nAnd more.\n")
    assert "lr: float = 0.1, searched in [0.001, 1] (log)" in out
    assert "sees forget" in out
    assert str(path) in out


def test_every_line_of_help_is_whole_on_80_columns(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = call("--help")

    commands = [line for line in out.partition("Commands:")[2].splitlines() if line]
    assert code == 0
    assert len(commands) == len(main.commands)
    assert all(line.endswith(".") and not line.endswith("..") for line in commands)


def test_the_words_of_users_are_printed_as_they_are(run, home, plugin_file):
    path = plugin_file(MINE.format("raise ValueError('nothing in [/home/me] or [abc]\\x1b[2J')"))
    change = 'title = "[/x] tiny"\nmethods = []'

    code, out, err = run("--plugin", path, "--out", "[b]out[/c]", "--store", "my store", change=change)
    failed = next(line for line in err.splitlines() if line.startswith("Mine failed"))

    assert code == 1
    assert "[/x] tiny" in out
    assert "[/x] tiny: 4 cells" in err
    assert "ValueError: nothing in [/home/me] or [abc]\\x1b[2J (mine.py" in failed
    assert failed.endswith(f" --store '{home / 'my store'}'")
    assert "written to [b]out[/c]/" in err


def test_a_folder_of_data_can_be_named(call, home, monkeypatch):
    monkeypatch.delenv("MUBENCH_DATA", raising=False)
    code, _, err = call("run", "--suite", "cifar10-random-10", "--data-root", "nowhere", "--device", "cpu")

    assert code == 2
    assert f"{home / 'nowhere'}" in err
    os.environ.pop("MUBENCH_DATA")


def test_help_and_version_and_what_needs_no_torch_do_not_import_it(tmp_path):
    script = """
import sys
from click.testing import CliRunner
from mubench.cli import main
for words in (["--help"], ["run", "--help"], ["--version"], ["list", "suites"]):
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, (words, result.output)
    print(result.output)
heavy = {"torch", "sklearn", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout
    assert mubench.__version__ in done.stdout
    assert list(Path(tmp_path).iterdir()) == []
