"""Cells that wait for a worker, in the order of their dependencies."""

from __future__ import annotations

import heapq
import threading
from collections import defaultdict
from collections.abc import Sequence

from mubench.planning.cell import Cell
from mubench.running.outcome import Outcome, Status

# How long to leave a cell alone that another run is working on, in seconds.
BUSY_WAIT = 0.5


class Queue:
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

    def hand_back(self, cell: Cell) -> None:
        """Offer a cell again whose worker was lost: in its turn."""
        with self._condition:
            heapq.heappush(self._ready, (self._order[cell.key], cell))
            self._condition.notify()

    @property
    def unfinished(self) -> int:
        """How many cells have not ended."""
        return self._unfinished

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
