"""A worker seen from outside: where it cannot fork, and when it dies itself."""

import sys
from dataclasses import replace

import pytest

from mubench.running.outcome import Status
from mubench.running.process import WorkerProcess
from mubench.storage.store import Store

NO_FORK = "import os; del os.fork; from mubench.running.worker import main; main()"


@pytest.fixture
def worker(home):
    """`worker(code)`: a worker process that runs this Python code, and its store."""
    started = []

    def start(code):
        store = Store(home / "store")
        started.append(WorkerProcess(store, 1, "cpu"))
        started[-1]._command = [sys.executable, "-P", "-c", code, str(store.root), "1", "cpu"]
        return started[-1], store

    yield start
    for process in started:
        process.close()


@pytest.fixture
def cells(bench):
    """The original and the baseline's cell of a suite on real data."""
    plan = bench('dataset = "digits"\nbatch_size = 128\nmethods = ["Original"]', dry=True)
    return [c for c in plan.cells if c.spec is None or c.spec.name == "Original"]


def test_where_there_is_no_fork_every_cell_gets_a_process(worker, cells, monkeypatch):
    monkeypatch.setattr("mubench.running.process.CAN_FORK", False)
    process, store = worker(NO_FORK)
    pids = []
    for cell in cells:
        assert process.run(cell).status is Status.OK
        assert store.get(cell.key) is not None
        pids.append(process._process.pid)

    assert len(set(pids)) == 2


def test_a_worker_that_cannot_start_says_so_in_the_reply_and_in_the_log(worker, cells):
    process, store = worker("raise ImportError('torch is broken')")

    reply = process.run(cells[0])

    assert (reply.status, reply.reason) == (Status.DIED, "its process ended by itself with exit code 1")
    assert "ImportError: torch is broken" in store.log_file(cells[0].key).read_text()


def test_a_worker_that_somebody_kills_is_lost_and_its_cell_not_to_blame(worker, cells):
    process, _ = worker("import os; os.kill(os.getpid(), 9)")

    reply = process.run(cells[0])

    assert reply.status is Status.LOST
    assert reply.reason.startswith("its process was ended by signal SIGKILL")


def test_a_worker_that_does_not_stop_its_cell_in_time_is_stopped_and_the_cell_to_blame(
    worker, cells, monkeypatch
):
    monkeypatch.setattr("mubench.running.process.PATIENCE", 0.1)
    process, store = worker("import time; print('started', flush=True); time.sleep(60)")
    cell = replace(cells[0], setting=replace(cells[0].setting, timeout=0.1))

    reply = process.run(cell)

    assert (reply.status, reply.reason) == (Status.FAILED, "stopped after the timeout of 0.1 s")
    assert "stopped after the timeout" in store.log_file(cell.key).read_text()


def test_a_closed_worker_starts_nothing(worker, cells):
    process, _ = worker("raise AssertionError")
    process.close()

    assert process.run(cells[0]).status is Status.FAILED
    assert process._process is None
