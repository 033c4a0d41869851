"""What a method used, counted where it is used: the cost that does not depend on the machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Ledger:
    """Samples read per set, and samples passed forward and backward through the model.

    on_epoch: told whenever an epoch over a set begins, with the set's name and, where they are known, the
    number of the epoch (from 1) and how many there will be, otherwise 0 and 0.
    """

    reads: dict[str, int] = field(default_factory=lambda: {"forget": 0, "retain": 0})
    forward: int = 0
    backward: int = 0
    on_epoch: Callable[[str, int, int], None] | None = field(default=None, repr=False, compare=False)

    def read(self, name: str, samples: int) -> None:
        """Count samples handed out of a set."""
        self.reads[name] = self.reads.get(name, 0) + samples

    def begin_epoch(self, name: str, number: int = 0, count: int = 0) -> None:
        """An epoch over a set begins."""
        if self.on_epoch is not None:
            self.on_epoch(name, number, count)

    def __deepcopy__(self, memo: dict[int, Any]) -> Ledger:
        """Copies of a model (teachers, attacked copies) count into the same ledger."""
        return self
