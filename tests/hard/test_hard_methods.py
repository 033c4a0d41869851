"""Methods that eat the memory, fork or hang: a FAILED row, the reason, a log, and all others intact."""

import sys

import pandas as pd
import pytest
from hard_runs import is_running

from mubench.running.executor import execute
from mubench.storage.store import Store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory, looks into /proc"),
]

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

@method("leaves-children")
def leaves_children(model, task):
    near, far = os.fork(), None
    if near == 0:
        time.sleep(600)
        os._exit(0)
    far = os.fork()
    if far == 0:
        os.setsid()
        time.sleep(600)
        os._exit(0)
    (HERE / "children").write_text(f"{near} {far}")

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
@method("hangs")
def hangs(model, task):
    if os.fork() == 0:
        os.setsid()  # out of reach, with all that its parent had open
        time.sleep(60)
        os._exit(0)
    time.sleep(600)

@method("escapes")
def escapes(model, task):
    os.closerange(3, 200)
    while True:
        time.sleep(1)

@method("lies")
def lies(model, task):
    for fd in range(3, 50):
        try:
            os.write(fd, b'{"status": "ok"}\\n')
        except OSError:
            pass
    time.sleep(600)

@method("kills-its-parent")
def kills_its_parent(model, task):
    os.kill(os.getppid(), 9)
    time.sleep(600)
"""
# What a method can change in its process, each of which once reached other rows.
PROCESS_WIDE = {
    "precision": 'torch.set_float32_matmul_precision("medium")',
    "dtype": "torch.set_default_dtype(torch.float64)",
    "no gradients": "torch.set_grad_enabled(False)",
    "no mkldnn": "torch.backends.mkldnn.enabled = False",
    "no determinism": "torch.manual_seed(7); torch.randperm = lambda n, **_: torch.arange(n)",
    "loss": "import mubench.api.training as t; t.cross_entropy = lambda z, y: (z * 0).sum()",
    "step": "Step.__call__ = lambda self, *batch: torch.zeros(())",
    "hook": "nn.modules.module.register_module_forward_hook(lambda m, i, o: o * 2)",
    "saved tensors": "torch.autograd.graph.saved_tensors_hooks(lambda t: t * 0, lambda t: t).__enter__()",
    "autocast": 'torch.autocast("cpu", torch.bfloat16).__enter__()',
    "clock": "time.perf_counter = lambda: 0.0",
    "alarm": "import signal; signal.alarm(1)",
    "thread": "import threading; threading.Thread(target=lambda: all(iter(int, 1)), daemon=True).start()",
    "data": "import gc; [b.images.zero_() for b in gc.get_objects() if type(b).__name__ == 'Bench']",
    "requests": "[os.read(fd, 9) for fd in (0,)]",
    "environment": 'os.environ.clear(); os.chdir("/"); sys.path.clear()',
    "reply": "import json; json.dumps = None",
}
VICTIM = """
@method("victim", sees="retain")
def victim(model, task):
    step = Step(model, cross_entropy_loss, 0.05)
    for x, y in task.retain:
        step(x, y)
"""
REAL = """
dataset = "digits"
batch_size = 128
methods = ["Original"]
"""


def test_nothing_a_method_changes_in_its_process_reaches_another_row(bench, plugin_file, keys):
    functions = [
        f'@method("{name}")\ndef m{i}(model, task):\n    {body}\n'
        for i, (name, body) in enumerate(PROCESS_WIDE.items())
    ]
    path = plugin_file("\n".join(functions) + VICTIM)
    plan = bench(REAL, plugins=[path], dry=True)
    rows = keys(plan)
    clean = Store(path.parent / "clean")
    only = [c for c in plan.cells if c.key in (rows[""][0], rows["victim"][0])]
    assert {o.status for o in execute(only, clean, 1)} == {"ok"}

    _, outcomes, store = bench(REAL, plugins=[path], jobs=1)

    failed = {name for (name, _, _), o in outcomes.items() if o.status != "ok"}
    assert failed <= {"reply"}, {o.reason for o in outcomes.values()}
    for key in (rows[""][0], rows["victim"][0]):
        one, two = clean.get(key), store.get(key)
        assert one.about["files"] == two.about["files"]
    assert all(store.get(rows[name][0]).about["cost"]["seconds"] >= 0 for name in rows if name not in failed)


# The worker itself was lost, so that another one tried.
LOST = "tried 3 times: "


def test_no_method_escapes_its_timeout_or_passes_for_a_success(bench, plugin_file):
    path = plugin_file(HANGS + VICTIM)

    _, outcomes, store = bench("timeout = 8.0" + REAL, plugins=[path], jobs=1)

    reasons = {name: o.reason for (name, _, _), o in outcomes.items() if o.status == "failed"}
    assert reasons == {
        "hangs": "stopped after the timeout of 8 s",
        "escapes": "its process closed its files and went on; it was ended",
        "lies": "its process reported success, but its record is not in the store",
        "kills-its-parent": f"{LOST}its process was ended by signal SIGKILL; was the memory exhausted?",
    }
    for (name, _, _), outcome in outcomes.items():
        if name in reasons:
            assert store.failure(outcome.cell.key) == outcome.reason
        if name in ("hangs", "escapes", "kills-its-parent"):
            assert outcome.reason.removeprefix(LOST) in store.log_file(outcome.cell.key).read_text()


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
    assert {"modest", "waits", "comes-back-twice", "leaves-children"} < set(cells.index)
    assert not any(map(is_running, map(int, (run.folder / "children").read_text().split())))
    assert run.finish()[0] == 0
    whole = undisturbed.logits()
    assert {key: run.logits()[key] for key in whole} == whole
