"""What a method used, counted where it is used: the cost that does not depend on the machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Ledger:
    """Samples read per set, and samples passed forward and backward through the model."""

    reads: dict[str, int] = field(default_factory=lambda: {"forget": 0, "retain": 0})
    forward: int = 0
    backward: int = 0

    def read(self, name: str, samples: int) -> None:
        """Count samples handed out of a set."""
        self.reads[name] = self.reads.get(name, 0) + samples

    def __deepcopy__(self, memo: dict[int, Any]) -> Ledger:
        """Copies of a model (teachers, attacked copies) count into the same ledger."""
        return self
