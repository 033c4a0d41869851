"""`--track mlflow` on a real SQLite file, and MLflow's own page of it in a browser.

Needs `pip install mlflow`, which is large and so not among the tests' own packages.
"""

import importlib.util
import socket
import subprocess
import sys
import time
from types import SimpleNamespace
from urllib.request import urlopen

import pandas as pd
import pytest
from browser import CHROMIUM, Browser
from test_track import METHODS, SUITE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="MLflow is not installed"),
]


@pytest.fixture
def tracked(run, home, plugin_file, monkeypatch):
    """A tracked run: `again()` repeats it; `runs()` are MLflow's by name; `uri` is its file."""
    uri = f"sqlite:///{home / 'kept.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    words = ("--plugin", plugin_file(METHODS), "--out", "out", "--track", "mlflow")

    def again():
        code, _, err = run(*words, change=SUITE)
        assert (code, "tracked 10 cells by mlflow" in err) == (1, True), err

    def runs():
        from mlflow import MlflowClient

        client = MlflowClient(uri)
        (found,) = [e for e in client.search_experiments() if e.name == "tiny"]
        return client, list(client.search_runs([found.experiment_id]))

    again()
    return SimpleNamespace(again=again, runs=runs, uri=uri, out=home / "out")


def test_runs_hold_what_the_table_says_and_a_second_run_adds_none(tracked):
    client, runs = tracked.runs()
    by_name = {run.info.run_name: run for run in runs}
    cells = pd.read_csv(tracked.out / "cells.csv").set_index(["method", "seed"])

    assert len(by_name) == len(runs) == 10
    mine = by_name["Mine, seed 1"]
    assert mine.data.params["lr"] == "0.1"
    assert mine.data.metrics["ua"] == cells.loc[("Mine", 1), "ua"]
    assert mine.data.tags["mubench.environment.device"] == "cpu"
    curve = client.get_metric_history(mine.info.run_id, "losses")
    assert [(m.step, m.value) for m in curve] == [(0, 3.0), (1, 2.0), (2, 1.5)]
    assert mine.info.status == "FINISHED"
    assert by_name["Loud, seed 0"].info.status == "FAILED"
    assert "too loud" in by_name["Loud, seed 0"].data.tags["mubench.reason"]

    tracked.again()
    _, after = tracked.runs()
    assert {r.info.run_id for r in after} == {r.info.run_id for r in runs}
    assert len(client.get_metric_history(mine.info.run_id, "ua")) == 1


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
def test_mlflows_page_shows_the_runs(tracked, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", tracked.uri]
    command += ["--port", str(port), "--workers", "1"]
    server = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    browser = None
    try:
        _, runs = tracked.runs()
        page = f"http://127.0.0.1:{port}"
        _wait(lambda: urlopen(f"{page}/health").status == 200)
        browser = Browser(tmp_path / "profile")
        address = f"{page}/#/experiments/{runs[0].info.experiment_id}/runs"
        browser.open(SimpleNamespace(as_uri=lambda: address))
        _wait(lambda: "Mine, seed 1" in browser.run("document.body.innerText"))
    finally:
        if browser is not None:
            browser.close()
        server.terminate()
        server.wait()


def _wait(condition, seconds=90):
    """Until the condition holds; errors count as not yet."""
    until = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except OSError:
            pass
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.3)
