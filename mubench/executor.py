"""Runs cells in worker processes, in the order of their dependencies, and reports each one's end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mubench.cell import CELL, Cell
from mubench.store import Store
from mubench.worker import run_one


@dataclass(frozen=True)
class Outcome:
    """How a cell ended: status "ok", "cached" or "failed", and why."""

    cell: Cell
    status: str
    reason: str = ""


class Worker:
    """One worker process, started when first needed and again after it died."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._process: subprocess.Popen[str] | None = None
        self.closed = False

    def run(self, cell: Cell) -> Outcome:
        """Run one cell to its end, timeout or death."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mubench.worker", str(self._store.root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        late = threading.Event()
        timer = None
        if cell.setting.timeout is not None:

            def stop() -> None:
                late.set()
                process.kill()

            timer = threading.Timer(cell.setting.timeout, stop)
            timer.daemon = True
            timer.start()
        try:
            process.stdin.write(CELL.dump_json(cell, by_alias=True).decode() + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = ""
        finally:
            if timer is not None:
                timer.cancel()
        if line:
            reply: dict[str, Any] = json.loads(line)
            return Outcome(cell, reply["status"], reply["reason"])
        code = process.wait()
        if late.is_set():
            reason = f"stopped after the timeout of {cell.setting.timeout:g} s"
        elif code < 0:
            hint = "; was the memory exhausted?" if -code == signal.SIGKILL else ""
            reason = f"its process was ended by signal {signal.Signals(-code).name}{hint}"
        else:
            reason = f"its process ended by itself with exit code {code}"
        if not self.closed:
            self._store.put_failure(cell.key, reason)
        return Outcome(cell, "failed", reason)

    def close(self) -> None:
        """End the process; a cell it is running is lost, its record is not begun."""
        self.closed = True
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class _Here:
    """Runs cells in this process (jobs = 0): for debugging, and where starting processes is slow."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def run(self, cell: Cell) -> Outcome:
        reply = run_one(CELL.dump_json(cell, by_alias=True).decode(), self._store)
        return Outcome(cell, reply["status"], reply["reason"])

    def close(self) -> None:
        pass


class _Queue:
    """Cells in order; one whose original is still being made waits, one whose original failed fails."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._waiting = list(cells)
        self._unmade = {c.key for c in cells}
        self._failed: dict[str, str] = {}
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
                    if cell.original not in self._unmade:
                        return self._waiting.pop(i)
                self._condition.wait(0.5)
            return None

    def done(self, outcome: Outcome) -> None:
        with self._condition:
            self._unmade.discard(outcome.cell.key)
            if outcome.status == "failed":
                self._failed[outcome.cell.key] = outcome.reason
            self._condition.notify_all()

    def stop(self) -> None:
        with self._condition:
            self.stopped = True
            self._condition.notify_all()


def execute(
    cells: Sequence[Cell], store: Store, jobs: int, report: Callable[[Outcome], None] = lambda _: None
) -> list[Outcome]:
    """Run all cells on `jobs` workers (0: in this process) and return how each ended.

    `report` is called in this thread order-free, once per cell. On KeyboardInterrupt the workers are
    killed and the interrupt goes on; what was finished is in the store.
    """
    queue, outcomes, guard = _Queue(cells), [], threading.Lock()
    shared = min(jobs, len(cells)) > 1
    workers: list[Worker | _Here] = (
        [Worker(store) for _ in range(min(jobs, len(cells)))] if jobs else [_Here(store)]
    )

    def work(worker: Worker | _Here) -> None:
        while (cell := queue.take()) is not None:
            outcome = cell if isinstance(cell, Outcome) else worker.run(replace(cell, shared=shared))
            if queue.stopped:
                return
            with guard:
                outcomes.append(outcome)
                report(outcome)
            queue.done(outcome)

    if not jobs:
        work(workers[0])
        return outcomes
    threads = [threading.Thread(target=work, args=(w,), daemon=True) for w in workers]
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
    return outcomes
