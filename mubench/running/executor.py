"""Runs cells on workers, in the order of their dependencies, and reports how each one ended."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from types import FrameType
from typing import Protocol

from mubench.planning.cell import CELL, Cell
from mubench.running.process import Process
from mubench.running.worker import run_one
from mubench.storage.files import write_atomic
from mubench.storage.store import Store, UnwritableError

# How long to leave a cell alone that another run is working on, in seconds.
BUSY_WAIT = 0.5


@dataclass(frozen=True)
class Outcome:
    """How a cell ended: status "ok", "cached" or "failed", why, and after how many seconds."""

    cell: Cell
    status: str
    reason: str = ""
    seconds: float = 0.0


class Worker(Protocol):
    """Runs one cell at a time: (status, reason)."""

    def run(self, cell: Cell) -> tuple[str, str]: ...

    def close(self) -> None: ...


@contextmanager
def _watching_for_interrupts() -> Iterator[threading.Event]:
    """Set when Ctrl-C is pressed inside: a method may also raise KeyboardInterrupt by itself."""
    pressed = threading.Event()
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before != signal.default_int_handler:
        yield pressed  # somebody else handles it
        return

    def press(number: int, frame: FrameType | None) -> None:
        pressed.set()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, press)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


class Here:
    """Runs cells in this process (jobs = 0): for debugging, and where starting processes is slow."""

    def __init__(self, store: Store) -> None:
        """Records go to `store`."""
        self._store = store

    def run(self, cell: Cell) -> tuple[str, str]:
        """Run it; a method that ends the interpreter ends this one. Ctrl-C is the user's, not a failure."""
        with _watching_for_interrupts() as interrupted:
            line = CELL.dump_json(cell, by_alias=True).decode()
            reply = run_one(line, self._store, self._store.log_file(cell.key))
        if interrupted.is_set():
            self._store.forget_failure(cell.key)
            raise KeyboardInterrupt
        return reply["status"], reply["reason"]

    def close(self) -> None:
        """Nothing to end."""


class _Queue:
    """Cells in order; one whose original is still being made waits, one whose original failed fails."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._waiting = list(cells)
        self._unmade = {c.key for c in cells}
        self._failed: dict[str, str] = {}
        self._not_before: dict[str, float] = {}
        self._condition = threading.Condition()
        self.stopped = False

    def take(self) -> Cell | Outcome | None:
        """The next cell, an outcome already known, or None when all is handed out."""
        with self._condition:
            while self._waiting and not self.stopped:
                for i, cell in enumerate(self._waiting):
                    if cell.original in self._failed:
                        reason = f"its original model failed: {self._failed[cell.original]}"
                        return Outcome(self._waiting.pop(i), "failed", reason)
                    ready = cell.original not in self._unmade
                    if ready and self._not_before.get(cell.key, 0.0) <= time.monotonic():
                        return self._waiting.pop(i)
                self._condition.wait(BUSY_WAIT / 2)
            return None

    def later(self, cell: Cell) -> None:
        """Another run works on this cell; others come first."""
        with self._condition:
            self._not_before[cell.key] = time.monotonic() + BUSY_WAIT
            self._waiting.append(cell)

    def done(self, outcome: Outcome) -> None:
        """Whoever waits for this cell may go on."""
        with self._condition:
            self._unmade.discard(outcome.cell.key)
            if outcome.status == "failed":
                self._failed[outcome.cell.key] = outcome.reason
            self._condition.notify_all()

    def stop(self) -> None:
        """Hand out nothing more."""
        with self._condition:
            self.stopped = True
            self._condition.notify_all()


def execute(
    cells: Sequence[Cell], store: Store, jobs: int, report: Callable[[Outcome], None] = lambda _: None
) -> list[Outcome]:
    """Run all cells on `jobs` worker processes (0: in this one) and return how each ended.

    `report` is called once per cell, never twice at a time. On KeyboardInterrupt the workers are killed
    and the interrupt goes on; what was finished is in the store. UnwritableError if it takes no more.
    """
    queue, outcomes, guard = _Queue(cells), [], threading.Lock()
    errors: list[BaseException] = []
    count = min(jobs, len(cells))
    workers: list[Worker] = [Process(store, count, cells[0].setting.device) for _ in range(count)]

    def work(worker: Worker) -> None:
        while (cell := queue.take()) is not None:
            if isinstance(cell, Outcome):
                outcome = cell
                with suppress(OSError):
                    store.put_failure(outcome.cell.key, outcome.reason)
                    write_atomic(store.log_file(outcome.cell.key), f"{outcome.reason}\n".encode())
            else:
                started = time.perf_counter()
                status, reason = worker.run(replace(cell, shared=count > 1))
                if queue.stopped:
                    return
                if status == "busy":
                    queue.later(cell)
                    continue
                if status == "unsaved":
                    raise UnwritableError(reason)
                outcome = Outcome(cell, status, reason, time.perf_counter() - started)
            with guard:
                outcomes.append(outcome)
                report(outcome)
            queue.done(outcome)

    if not jobs:
        work(Here(store))
        return outcomes

    def watched(worker: Worker) -> None:
        try:
            work(worker)
        except BaseException as error:  # the main thread raises it
            errors.append(error)
            queue.stop()
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
        queue.stop()
        for worker in workers:
            worker.close()
    if errors:
        raise errors[0]
    return outcomes
