"""Runs cells on workers, in the order of their dependencies, and reports how each one ended."""

from __future__ import annotations

import heapq
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from mubench.planning.cell import Cell
from mubench.running.isolation import CAN_FORK, ChildDiedError, run_forked
from mubench.running.outcome import REPLY, Outcome, Reply, Status
from mubench.running.process import WorkerProcess
from mubench.running.worker import prepare, read_reply, run_one
from mubench.storage.files import write_atomic
from mubench.storage.store import Store, UnwritableError

# How long to leave a cell alone that another run is working on, in seconds.
BUSY_WAIT = 0.5


class Worker(Protocol):
    """Runs one cell at a time."""

    def run(self, cell: Cell) -> Reply: ...

    def close(self) -> None: ...


class InProcessWorker:
    """Runs cells in children of this process that keep its terminal (jobs = 0), for `breakpoint()`.

    Without a timeout or a limit of memory. In this very process where there is no fork, or where cells use
    several threads: this process may have a pool of threads already, and a child would wait for it forever.
    """

    def __init__(self, store: Store) -> None:
        """Records go to `store`."""
        self._store = store

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


class _Queue:
    """Cells in order; one that needs an original of this run waits for it, and fails if it does."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._order = {cell.key: i for i, cell in enumerate(cells)}
        self._ready = [(i, c) for i, c in enumerate(cells) if c.original not in self._order]
        self._waiting: dict[str, list[Cell]] = defaultdict(list)
        for cell in cells:
            if cell.original in self._order:
                self._waiting[cell.original].append(cell)
        self._unfinished = len(cells)
        self._condition = threading.Condition()
        self.stopped = False

    def take(self) -> Cell | None:
        """The next cell, or None when all are finished or the queue was stopped."""
        with self._condition:
            self._condition.wait_for(lambda: self._ready or not self._unfinished or self.stopped)
            return None if self.stopped or not self._ready else heapq.heappop(self._ready)[1]

    def put_back(self, cell: Cell) -> None:
        """Offer a cell again that another run works on: after all others, and not at once."""
        with self._condition:
            if not self._ready:
                self._condition.wait(BUSY_WAIT)
            self._order[cell.key] += len(self._order)
            heapq.heappush(self._ready, (self._order[cell.key], cell))

    def finish(self, outcome: Outcome) -> list[Outcome]:
        """Let the cells go on that waited for this one; if it failed, their outcomes instead."""
        with self._condition:
            waiting = self._waiting.pop(outcome.cell.key, [])
            failed = outcome.status is Status.FAILED
            if not failed:
                for cell in waiting:
                    heapq.heappush(self._ready, (self._order[cell.key], cell))
            self._unfinished -= 1
            self._condition.notify_all()
        reason = f"its original model failed: {outcome.reason}"
        return [Outcome(cell, Status.FAILED, reason) for cell in waiting if failed]

    def stop(self) -> None:
        """Hand out nothing more."""
        with self._condition:
            self.stopped = True
            self._condition.notify_all()


class _Run:
    """The state that the threads of `execute` share."""

    def __init__(self, cells: Sequence[Cell], store: Store, report: Callable[[Outcome], None]) -> None:
        self.queue, self.store, self.report = _Queue(cells), store, report
        self.outcomes: list[Outcome] = []
        self._guard = threading.Lock()

    def work(self, worker: Worker) -> None:
        """Run cells on this worker until none is left."""
        while (cell := self.queue.take()) is not None:
            started = time.perf_counter()
            reply = worker.run(cell)
            if reply.status is Status.DIED and cell.spec is None and not self.queue.stopped:
                reply = worker.run(cell)  # all rows of its seed need it, and its code is not a plugin's
            if self.queue.stopped:
                return
            if reply.status is Status.BUSY:
                self.queue.put_back(cell)
                continue
            if reply.status is Status.UNSAVED:
                raise UnwritableError(reply.reason)
            done = reply.status in (Status.OK, Status.CACHED)
            status, seconds = reply.status if done else Status.FAILED, time.perf_counter() - started
            self._finish(Outcome(cell, status, reply.reason, seconds))

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


def execute(
    cells: Sequence[Cell],
    store: Store,
    jobs: int,
    report: Callable[[Outcome], None] = lambda _: None,
    pulse: Path | None = None,
) -> list[Outcome]:
    """Run all cells on `jobs` worker processes (0: in children of this one) and return how each ended.

    `report` is called once per cell, never twice at a time. pulse: a folder where each cell keeps a line of
    how far it is (not with 0 jobs, where the terminal is the cell's). On KeyboardInterrupt the workers are
    ended and the interrupt goes on; what was finished is in the store. UnwritableError if it takes no more.
    """
    run = _Run(cells, store, report)
    if not jobs:
        run.work(InProcessWorker(store))
        return run.outcomes
    count = min(jobs, len(cells))
    workers = [WorkerProcess(store, count, cells[0].setting.device, pulse) for _ in range(count)]
    errors: list[BaseException] = []

    def watched(worker: Worker) -> None:
        try:
            run.work(worker)
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
            while thread.is_alive():
                thread.join(0.2)
    finally:
        run.queue.stop()
        for worker in workers:
            worker.close()
    if errors:
        raise errors[0]
    return run.outcomes
