"""What a tracker declares: `@tracker` marks a class that keeps the cells of runs beside other experiments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from mubench.api.spec import Spec, mark

C = TypeVar("C", bound=type)


@dataclass(frozen=True, kw_only=True)
class TrackerSpec(Spec):
    """Everything that is known of a tracker without connecting it."""


@dataclass(frozen=True)
class TrackedCell:
    """A cell of the table, as plain data: what a tracker shows as one run.

    suite, row, role, seed: where it stands. label: the forgotten class where each is forgotten in turn.
    key: its record's, the same for the same numbers. status: "ok" or "FAILED", and the reason.
    parameters: of its method, and what of the suite decides its numbers. metrics: the numbers of cells.csv,
    all finite. series: what its method logged as lists of numbers, such as a loss by epoch.
    environment: versions and hardware of the record.
    """

    suite: str
    row: str
    role: str
    seed: int
    key: str
    label: str = ""
    status: str = "ok"
    reason: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    series: Mapping[str, Sequence[float]] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{self.row}{f' ({self.label})' if self.label else ''}, seed {self.seed}"


class Tracker(Protocol):
    """Keeps cells. A cell that it has already, by its key, is brought up to date and never kept twice."""

    def log(self, cell: TrackedCell) -> None:
        """Keep a cell; whatever it raises ends the tracking of this run, with a warning, and nothing else."""


def tracker(name: str) -> Callable[[C], C]:
    """Declare a tracker: a class that is made as `made(suite)`, with the suite's name, and is a `Tracker`.

    It is made before anything is trained: that is the time to raise UsageError if what it needs is not
    installed. name: what `--track` calls it.
    """

    def declare(made: C) -> C:
        doc = inspect.cleandoc(vars(made).get("__doc__") or "")
        mark(made, TrackerSpec(name=name, function=made.__name__, doc=doc))
        return made

    return declare
