"""`mubench run --track`: every cell of the table reaches the tracker, and a broken tracker harms nothing."""

import importlib.util
import json

import pandas as pd
import pytest

SUITE = "seeds = [0, 1]\nmethods = { FT = { epochs = 1 } }"
METHODS = """
@method("Mine", sees="forget")
def mine(model, task, *, lr: float = 0.1):
    "Logs its losses."
    for _ in task.forget:
        pass
    task.log(losses=[3.0, 2.0, 1.5], words=["a"], hits=4)

@method("Loud", sees="forget")
def loud(model, task):
    "Fails."
    raise ValueError("too loud")
"""
TRACKER = """
import json
from dataclasses import asdict
from mubench import tracker

@tracker("notebook")
class Notebook:
    "Writes a line per cell."
    def __init__(self, suite):
        self.suite = suite
    def log(self, cell):
        with open("seen.jsonl", "a") as file:
            file.write(json.dumps({"for": self.suite, "name": cell.name, **asdict(cell)}) + "\\n")

@tracker("shy")
class Shy:
    "Does not start."
    def __init__(self, suite):
        raise ConnectionError("no server")
    def log(self, cell):
        pass

@tracker("broken")
class Broken:
    "Takes one cell, and no more."
    def __init__(self, suite):
        self.full = False
    def log(self, cell):
        if self.full:
            raise ConnectionError("the server\\nis down")
        self.full = True
"""


@pytest.fixture
def tracker_file(plugin_file):
    """The file with both trackers."""
    return plugin_file(TRACKER, name="trackers", head="")


def test_every_cell_arrives_with_its_parameters_numbers_series_and_environment(
    run, home, plugin_file, tracker_file
):
    words = ("--plugin", plugin_file(METHODS), "--plugin", tracker_file, "--out", "out")
    code, _, err = run(*words, "--track", "notebook", change=SUITE)

    seen = [json.loads(line) for line in (home / "seen.jsonl").read_text().splitlines()]
    by_name = {cell["name"]: cell for cell in seen}
    cells = pd.read_csv(home / "out" / "cells.csv", float_precision="round_trip").set_index(
        ["method", "seed"]
    )
    assert code == 1  # Loud
    assert "tracked 10 cells by notebook" in err
    assert len(by_name) == len(seen) == len(cells) == 10
    mine, line = by_name["Mine, seed 1"], cells.loc["Mine", 1]
    assert (mine["for"], mine["suite"], mine["role"], mine["key"]) == ("tiny", "tiny", "method", line["key"])
    assert mine["series"] == {"losses": [3.0, 2.0, 1.5]}
    assert mine["parameters"]["lr"] == 0.1
    assert mine["parameters"]["suite.model"] == "small-cnn"
    assert mine["environment"]["device"] == "cpu"
    for column in ("ua", "ra", "ta", "mia", "avg_gap", "rte", "note_hits"):
        assert mine["metrics"][column] == line[column], column
    failed = by_name["Loud, seed 0"]
    assert (failed["status"], failed["metrics"]) == ("FAILED", {})
    assert "too loud" in failed["reason"]


def test_a_tracker_that_fails_warns_once_and_the_run_is_complete(run, home, tracker_file):
    words = ("--plugin", tracker_file, "--out", "out")
    code, out, err = run(*words, "--track", "broken", change=SUITE)

    assert code == 0
    assert err.count("--track broken") == 1
    assert "stopped after 1 cells: ConnectionError: the server is down; the results are complete" in err
    assert "FT" in out
    assert (home / "out" / "table.md").exists()


@pytest.mark.parametrize("words", [(), ("--dry-run",)])
def test_a_tracker_that_cannot_start_is_refused_before_anything_runs(run, home, tracker_file, words):
    code, _, err = run("--plugin", tracker_file, "--track", "shy", *words)

    assert code == 2
    assert err == "Error: --track shy: ConnectionError: no server\n"
    assert not (home / "store" / "records").exists()


def test_an_unknown_tracker_is_refused_with_the_nearest_name(run, home):
    code, _, err = run("--track", "mlfow")

    assert code == 2
    assert "unknown tracker 'mlfow' in --track. Did you mean 'mlflow'?" in err
    assert len(err.splitlines()) == 1
    assert not (home / "store" / "records").exists()


def test_mlflow_that_is_not_installed_is_refused_before_anything_runs(run, home, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "mlflow" else find(name))
    code, _, err = run("--track", "mlflow")

    assert code == 2
    assert (
        err.strip()
        == "Error: --track mlflow needs mlflow, which is not installed: pip install 'mubench[mlflow]'"
    )
    assert not (home / "store" / "records").exists()
