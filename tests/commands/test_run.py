"""A whole run, as a user starts it: what is written, what is trained again, what a failure leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from mubench.cli import main
from mubench.storage.store import Store

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
UNRULY = """
import os, signal, sys, time
import torch
from torch import nn
from mubench import method

@method("raises", sees="forget")
def raises(model, task):
    raise RuntimeError("no such luck")

@method("not-a-number", sees="forget")
def not_a_number(model, task):
    model.head.weight.data[0, 0] = float("nan")

@method("more-classes", sees="forget")
def more_classes(model, task):
    model.head = nn.Linear(model.head.in_features, task.num_classes + 1)

@method("exits", sees="forget")
def exits(model, task):
    sys.exit(3)

@method("peeks", sees="forget")
def peeks(model, task):
    task.retain

@method("prints", sees="forget")
def prints(model, task):
    for _ in range(3):
        print("y" * 1_000_000, flush=True)
"""
DEADLY = """
import os, signal, time
from mubench import method

@method("vanishes")
def vanishes(model, task):
    os._exit(7)

@method("is-killed")
def is_killed(model, task):
    os.kill(os.getpid(), signal.SIGKILL)

@method("forks")
def forks(model, task):
    if os.fork() == 0:
        raise RuntimeError("the child")

@method("sleeps")
def sleeps(model, task):
    time.sleep(60)
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
    assert cells[1]["rte_shared"].all()
    assert not cells[0]["rte_shared"].any()


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


def test_an_unruly_method_fails_alone_and_says_why(whole: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "unruly.py"
    plugin.write_text(UNRULY, encoding="utf-8")
    code, output = _run(whole, "--plugin", str(plugin), "--jobs", "1", "--seeds", "1")
    table = pd.read_csv(whole / "out" / "table.csv").set_index("method")
    failed = ["raises", "not-a-number", "more-classes", "exits", "peeks"]
    assert code == 1
    assert (table.loc[failed, "status"] == "FAILED").all()
    assert table.loc[failed, "ua":].isna().all(axis=None)
    assert (table.drop(failed)["status"] == "ok").all()
    reasons = pd.read_csv(whole / "out" / "cells.csv").set_index("method")["reason"]
    assert reasons["raises"] == "RuntimeError: no such luck (unruly.py, line 9)"
    assert "head.weight" in reasons["not-a-number"]
    assert "11 logits, not 10" in reasons["more-classes"]
    assert "SystemExit: 3" in reasons["exits"]
    assert "without declaring it" in reasons["peeks"]
    logs = {p.stat().st_size for p in (whole / "store" / "logs").glob("*.log")}
    assert 2**20 <= max(logs) < 2**20 + 1000, "a flood is cut"
    assert "raises failed at seed 0: RuntimeError: no such luck" in output


def test_a_method_that_kills_its_process_fails_alone(whole: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "deadly.py"
    plugin.write_text(DEADLY, encoding="utf-8")
    suite = "timeout = 12.0\n" + SUITE
    code, _ = _run(whole, "--plugin", str(plugin), "--jobs", "2", "--seeds", "1", suite=suite)
    cells = pd.read_csv(whole / "out" / "cells.csv").set_index("method")
    assert code == 1
    assert "exit code 7" in cells.loc["vanishes", "reason"]
    assert "SIGKILL" in cells.loc["is-killed", "reason"]
    assert "timeout of 12 s" in cells.loc["sleeps", "reason"]
    assert "forked" in cells.loc["forks", "reason"]
    assert (cells.loc[["Retrain", "FT", "GA"], "status"] == "ok").all()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_run_goes_on_to_the_same_numbers(whole: Path, tmp_path: Path, ending: int) -> None:
    (tmp_path / "tiny.toml").write_text(SUITE, encoding="utf-8")
    store = tmp_path / "store"
    options = ["--suite", "tiny.toml", "--store", str(store), "--out", "out", "--jobs", "1"]
    command = [sys.executable, "-m", "mubench", "run", *options]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        # a shell starts what runs in its background with Ctrl-C ignored, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    until = time.monotonic() + 60
    while len(list((store / "records").glob("*/*/record.json"))) < 3 and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(process.pid, ending)
    _, said = process.communicate(timeout=30)
    if ending == signal.SIGINT:
        assert process.returncode == 130
        assert "goes on from there" in said
    done = len(list((store / "records").glob("*/*/record.json")))
    assert 3 <= done < 12, "the run was not caught in the middle"
    code, output = _run(tmp_path, "--jobs", "0")
    assert code == 0, output
    found, expected = _logits(tmp_path), _logits(whole)
    assert _same(found, {key: expected[key] for key in found})
    assert len(found) == 10


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


def test_nothing_half_written_is_read(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("ab" * 32, {"forgotten": []}, {"logits.forget": np.zeros((2, 3), np.float32)})
    record = store.folder("ab" * 32)
    (record / "record.json").unlink()
    assert Store(tmp_path).get("ab" * 32) is None
    assert not record.exists()
