"""How far the cells are that run now: each keeps a line in a file, which the process that shows it reads.

A file and no message: writing it takes microseconds, waits for nobody and wakes nobody up.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# Seconds between two lines of a cell, at least.
PAUSE = 0.1


@dataclass(frozen=True)
class Pulse:
    """A running cell. started, at: when it and its epoch began, by `time.time()`; count: 0 if unknown."""

    started: float
    epoch: int = 0
    count: int = 0
    at: float = 0.0

    def seconds_left(self, now: float) -> float | None:
        """What the rest of its epochs takes if they take as long as those so far; None before the second."""
        done = self.epoch - 1
        if done < 1 or not self.count:
            return None
        each = (self.at - self.started) / done
        return max(0.0, each * (self.count - done) - (now - self.at))


class Beat:
    """Keeps a cell's line; called whenever an epoch over a set begins, as `Ledger.on_epoch`."""

    def __init__(self, folder: Path, key: str) -> None:
        """The cell begins now. A folder that cannot be written is no reason not to run it."""
        self._file, self._begun = folder / key, Counter[str]()
        self._started, self._written = time.time(), 0.0
        self._write(0, 0)

    def __call__(self, name: str, number: int, count: int) -> None:
        """Where the number is unknown, it is how often the set was begun that was begun most often."""
        self._begun[name] += 1
        if time.time() - self._written >= PAUSE:
            self._write(number or max(self._begun.values()), count)

    def _write(self, epoch: int, count: int) -> None:
        self._written = time.time()
        line = f"{self._started:.3f} {epoch:9d} {count:9d} {self._written:.3f}\n"
        with suppress(OSError):
            # lines are of one length: without truncating, a reader never finds half of one
            file = os.open(self._file, os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(file, line.encode())
            os.close(file)


def read_pulses(folder: Path) -> dict[str, Pulse]:
    """Cell key -> how far it is, for cells that began, also those that ended since."""
    pulses = {}
    for path in folder.iterdir():
        with suppress(OSError, ValueError):
            started, epoch, count, at = path.read_text(encoding="ascii").split()
            pulses[path.name] = Pulse(float(started), int(epoch), int(count), float(at))
    return pulses
