"""Methods that eat the memory, fork or hang: a FAILED row, the reason, a log, and all others intact."""

import sys

import pandas as pd
import pytest
from hard_runs import is_running, wait_for

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="limits memory, looks into /proc"
)

HARMFUL = """
import os, subprocess, sys, time
from pathlib import Path
import torch
from mubench import method

HERE = Path(__file__).parent
KEPT = []

@method("greedy")
def greedy(model, task):
    while True:
        KEPT.append(torch.zeros(32 << 20))

@method("modest")
def modest(model, task):
    KEPT.append(torch.zeros(32 << 20))

@method("comes-back-twice")
def comes_back_twice(model, task):
    os.fork()

@method("leaves-a-child")
def leaves_a_child(model, task):
    child = os.fork()
    if child == 0:
        time.sleep(600)
        os._exit(0)
    (HERE / "child").write_text(str(child))

@method("waits")
def waits(model, task):
    if os.fork() == 0:
        os._exit(0)
    os.wait()

@method("floods")
def floods(model, task):
    for _ in range(20):
        print("y" * 1_000_000, flush=True)
    os.write(2, b"z" * 1_000_000)
    raise RuntimeError("enough")
"""
HANGS = """
import os, time
from mubench import method

@method("hangs")
def hangs(model, task):
    if os.fork() == 0:
        os.setsid()  # out of reach, with all that its parent had open
        time.sleep(60)
        os._exit(0)
    time.sleep(600)
"""


def test_harmful_methods_fail_alone(run, undisturbed):
    plugin = run.knows(undisturbed).folder / "harmful.py"
    plugin.write_text(HARMFUL, encoding="utf-8")
    process = run.start("--plugin", str(plugin), "--jobs", "1", limit=3 << 30)
    _, said = process.communicate(timeout=300)

    assert process.returncode == 1
    assert "Traceback" not in said
    cells = pd.read_csv(run.out / "cells.csv").set_index("method")
    failed = {
        "greedy": "can't allocate memory",
        "comes-back-twice": "the method forked and its child went on",
        "leaves-a-child": "the method forked and its child went on",
        "floods": "RuntimeError: enough (harmful.py, line ",
    }
    for name, reason in failed.items():
        assert cells.loc[name, "status"] == "FAILED", name
        assert reason in cells.loc[name, "reason"]
        assert pd.isna(cells.loc[name, "ua"])
        line = next(line for line in said.splitlines() if line.startswith(f"{name} failed at seed 0: "))
        log = run.log(line)
        assert "Error" in log or name == "floods"
        assert len(log) < (1 << 20) + 100
    assert (cells.drop(list(failed))["status"] == "ok").all()
    assert {"modest", "waits"} < set(cells.index)
    wait_for(lambda: not is_running(int((run.folder / "child").read_text())), 10)
    assert run.finish()[0] == 0
    whole = undisturbed.logits()
    assert {key: run.logits()[key] for key in whole} == whole


def test_a_method_that_hangs_is_ended_whatever_it_left_behind(run, undisturbed):
    plugin = run.knows(undisturbed).folder / "hangs.py"
    plugin.write_text(HANGS, encoding="utf-8")
    suite = run.folder / "tiny.toml"
    suite.write_text("timeout = 10.0\n" + suite.read_text(), encoding="utf-8")
    process = run.start("--plugin", str(plugin), "--methods", "hangs", "--jobs", "1")
    _, said = process.communicate(timeout=90)

    assert process.returncode == 1
    assert "hangs failed at seed 0: stopped after the timeout of 10 s" in said
    assert "timeout of 10 s" in run.log(said)
