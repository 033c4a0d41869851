"""Runs that end before they should, at any moment: the same command gives the same table."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from hard_runs import RECORDS, is_running, wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc"),
]

# Waits in the middle of its cell, with a process of its own, until a file "go" stands beside it.
SLOW = """
import os, subprocess, time
from pathlib import Path
from mubench import method

HERE = Path(__file__).parent

@method("slow")
def slow(model, task):
    if not (HERE / "go").exists():
        child = subprocess.Popen(["sleep", "600"])
        (HERE / "pids.tmp").write_text(f"{os.getpid()} {child.pid}")
        (HERE / "pids.tmp").rename(HERE / "pids")
        time.sleep(600)

@method("stray")
def stray(model, task):
    child = subprocess.Popen(["sleep", "600"])
    (HERE / "stray").write_text(str(child.pid))
"""


@pytest.fixture
def caught(run, undisturbed):
    """`caught(*words)`: a run in the middle of the cell of `slow` -> (process, worker's and child's pid)."""
    run.knows(undisturbed)
    plugin = run.folder / "slow.py"
    plugin.write_text(SLOW, encoding="utf-8")
    started = []

    def start(*words):
        started.append(run.start("--plugin", str(plugin), *words))
        path = run.folder / "pids"
        wait_for(lambda: path.exists() or started[-1].poll() is not None)
        return started[-1], [int(p) for p in path.read_text().split()]

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def goes_on(run, undisturbed):
    """The plugin's row joins; without it, the table is the undisturbed one."""
    (run.folder / "go").touch()
    code, _, said = run.finish("--plugin", str(run.folder / "slow.py"))
    assert code == 0, said
    before = {p.name: p.stat().st_mtime_ns for p in run.records()}
    code, _, said = run.finish()
    assert code == 0
    assert f"{RECORDS} cells, {RECORDS} of them in the store" in said
    assert {p.name: p.stat().st_mtime_ns for p in run.records()} == before
    own = [c for c in run.logits() if c not in undisturbed.logits()]
    assert len(own) == 2
    for key in own:
        for file in run.store.glob(f"records/*/{key}/*"):
            file.unlink()
        next(run.store.glob(f"records/*/{key}")).rmdir()
    run.assert_like(undisturbed)


def test_a_run_that_is_killed_takes_its_workers_along_and_goes_on(run, undisturbed, caught):
    process, pids = caught("--jobs", "2")
    assert all(map(is_running, pids))

    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    wait_for(lambda: not any(map(is_running, pids)), 10)
    goes_on(run, undisturbed)


def test_ctrl_c_ends_soon_says_what_is_saved_and_how_to_go_on(run, undisturbed, caught):
    process, pids = caught("--jobs", "1")

    started = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    took = time.monotonic() - started

    assert took < 10  # 3 s are promised; on an idle machine it is a tenth of that
    assert process.returncode == 130
    assert "Traceback" not in said
    saved = len(run.records())
    assert f"Interrupted: {saved} cells were finished and are saved, {RECORDS + 2 - saved} are left." in said
    assert "The same command goes on from there." in said
    wait_for(lambda: not any(map(is_running, pids)), 10)
    assert not list((run.store / "failures").glob("*"))
    goes_on(run, undisturbed)


def test_ctrl_c_before_the_first_cell(run):
    process = run.start()
    wait_for(lambda: (run.store / "records").is_dir())

    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)

    assert process.returncode == 130
    assert said.startswith("Interrupted: ")
    assert "goes on from there" in said
    assert len(said.splitlines()) == 1


def test_a_worker_that_is_killed_is_one_failed_cell(run, undisturbed, caught):
    process, (worker, child) = caught("--jobs", "1")
    os.kill(worker, signal.SIGKILL)
    out, said = process.communicate(timeout=120)

    assert process.returncode == 1
    assert "Traceback" not in said
    assert "slow failed at seed 0: its process was ended by signal SIGKILL" in said
    assert "SIGKILL" in run.log(said)
    assert next(line for line in out.splitlines() if line.split()[:1] == ["slow"]).split()[1] == "FAILED"
    stray = int((run.folder / "stray").read_text())
    wait_for(lambda: not is_running(child) and not is_running(stray), 10)
    goes_on(run, undisturbed)


# Kills the process that is about to make its n-th write last: arrays written, their names not, and so on.
DEADLY_DISK = """
import os, signal
real, left = os.fsync, [int(os.environ["WRITES"])]

def fsync(file):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    real(file)

os.fsync = fsync
"""


def test_a_power_cut_in_the_middle_of_writing_at_several_moments(run, undisturbed):
    run.knows(undisturbed)
    (run.folder / "site").mkdir()
    (run.folder / "site" / "sitecustomize.py").write_text(DEADLY_DISK, encoding="utf-8")
    seen = set()
    for writes in range(2, 9):
        path = {"PYTHONPATH": str(run.folder / "site"), "WRITES": str(writes)}
        process = run.start("--jobs", "0", **path)
        process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL
        left = [p for p in (run.store / "records").iterdir() if p.suffix == ".tmp"]
        seen.add((len(run.records()), bool(left)))

    assert len(seen) > 2, seen
    assert any(left for _, left in seen), "no write of a record was cut"
    code, _, said = run.finish()
    assert code == 0, said
    assert "damaged" not in said
    run.assert_like(undisturbed)


def test_the_helper_sees_processes():
    with subprocess.Popen(["sleep", "60"]) as process:
        assert is_running(process.pid)
        process.kill()
        wait_for(lambda: not is_running(process.pid), 10)
