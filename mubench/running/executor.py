"""Runs cells on workers, in the order of their dependencies, and reports how each one ended."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mubench.errors import UsageError
from mubench.planning.cell import Cell
from mubench.running.engine import GoneError, Worker
from mubench.running.isolation import CAN_FORK, ChildDiedError, run_forked
from mubench.running.outcome import REPLY, Outcome, Reply, Status
from mubench.running.process import WorkerProcess
from mubench.running.queue import Queue
from mubench.running.worker import prepare, read_reply, run_one
from mubench.storage.files import write_atomic
from mubench.storage.store import Store, UnwritableError

# How often a cell is tried again whose worker was lost.
RETRIES = 2


class InProcessWorker:
    """Runs cells in children of this process that keep its terminal (jobs = 0), for `breakpoint()`.

    Without a timeout or a limit of memory. In this very process where there is no fork, or where cells use
    several threads: this process may have a pool of threads already, and a child would wait for it forever.
    """

    def __init__(self, store: Store) -> None:
        """Records go to `store`."""
        self._store = store

    def ready(self) -> None:
        """It always is."""

    def run(self, cell: Cell) -> Reply:
        """Run one cell to its end."""
        store, log = self._store, self._store.log_file(cell.key)
        prepare(cell, store)
        if not CAN_FORK or cell.setting.threads > 1:
            return run_one(cell, store, log=log, interruptible=True)
        try:
            line = run_forked(lambda: REPLY.dump_json(run_one(cell, store, log=log)), terminal=True)
        except ChildDiedError as death:
            with suppress(OSError):
                write_atomic(log, f"[mubench: {death}]\n".encode())
            return Reply(Status.DIED, str(death))
        return read_reply(line, cell, store)

    def close(self) -> None:
        """Nothing to end."""


class _Run:
    """The state that the threads of `execute` share."""

    def __init__(self, cells: Sequence[Cell], store: Store, report: Callable[[Outcome], None]) -> None:
        self.queue, self.store, self.report = Queue(cells), store, report
        self.outcomes: list[Outcome] = []
        self._losses: Counter[str] = Counter()
        self._guard = threading.Lock()

    def work(self, worker: Worker) -> None:
        """Run cells on this worker until none is left, or GoneError is raised."""
        while (cell := self._next(worker)) is not None:
            started = time.perf_counter()
            reply = worker.run(cell)
            if reply.status is Status.DIED and not cell.specs and not self.queue.stopped:
                reply = worker.run(cell)  # all rows of its seed need it, and its code is not a plugin's
            if self.queue.stopped:
                return
            if reply.status is Status.BUSY:
                self.queue.put_back(cell)
                continue
            if reply.status is Status.LOST:
                self._losses[cell.key] += 1
                if self._losses[cell.key] <= RETRIES:
                    self.queue.hand_back(cell)
                    continue
                reply = replace(reply, reason=f"tried {1 + RETRIES} times: {reply.reason}")
            if reply.status is Status.UNSAVED:
                raise UnwritableError(reply.reason)
            done = reply.status in (Status.OK, Status.CACHED)
            status, seconds = reply.status if done else Status.FAILED, time.perf_counter() - started
            self._finish(Outcome(cell, status, reply.reason, seconds))

    def _next(self, worker: Worker) -> Cell | None:
        worker.ready()  # first: another one could have the cell meanwhile
        return self.queue.take()

    def _finish(self, outcome: Outcome) -> None:
        if outcome.status is Status.FAILED:
            with suppress(OSError):
                self.store.put_failure(outcome.cell.key, outcome.reason)
        with self._guard:
            self.outcomes.append(outcome)
            self.report(outcome)
        for dependent in self.queue.finish(outcome):
            with suppress(OSError):
                write_atomic(self.store.log_file(dependent.cell.key), f"{dependent.reason}\n".encode())
            self._finish(dependent)


def local_workers(cells: Sequence[Cell], store: Store, jobs: int, pulse: Path | None = None) -> list[Worker]:
    """`jobs` processes of this machine for these cells; for 0, children of this very process.

    pulse: a folder where each cell keeps a line of how far it is (not for 0, where the terminal is its own).
    """
    if not jobs:
        return [InProcessWorker(store)]
    count = min(jobs, len(cells))
    return [WorkerProcess(store, count, cells[0].setting.device, pulse) for _ in range(count)]


def execute(
    cells: Sequence[Cell],
    store: Store,
    jobs: int,
    report: Callable[[Outcome], None] = lambda _: None,
    pulse: Path | None = None,
) -> list[Outcome]:
    """Run all cells on this machine, `jobs` at once (0: in children of this process); see `run_on`."""
    return run_on(local_workers(cells, store, jobs, pulse), cells, store, report)


def run_on(
    workers: Sequence[Worker],
    cells: Sequence[Cell],
    store: Store,
    report: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """Run all cells on these workers, which are closed in the end, and return how each cell ended.

    An `InProcessWorker` runs them in this thread, any other in a thread of its own. `report` is called once
    per cell, never twice at a time. On KeyboardInterrupt the workers are ended and the interrupt goes on;
    what was finished is in the store. UnwritableError if it takes no more; UsageError if no worker is left.
    """
    run = _Run(cells, store, report)
    if [*map(type, workers)] == [InProcessWorker]:
        run.work(workers[0])
        return run.outcomes
    errors: list[BaseException] = []
    gone: list[GoneError] = []

    def watched(worker: Worker) -> None:
        try:
            run.work(worker)
        except GoneError as error:  # the others go on without it
            gone.append(error)
        except BaseException as error:  # the main thread raises it
            errors.append(error)
            run.queue.stop()
            for other in workers:
                other.close()

    threads = [threading.Thread(target=watched, args=(w,), daemon=True) for w in workers]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while (
                thread.is_alive() and run.queue.unfinished
            ):  # some may wait for a machine that is not needed
                thread.join(0.2)
    finally:
        run.queue.stop()
        for worker in workers:
            worker.close()
    if errors:
        raise errors[0]
    if run.queue.unfinished:
        why = "; ".join(dict.fromkeys(str(error) for error in gone))
        raise UsageError(
            f"no worker is left for {run.queue.unfinished} cells: {why}; what was finished is saved, and the "
            "same command goes on from there"
        )
    return run.outcomes
