"""The columns of a table, as the metrics declare them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from mubench.api.metric import Better, Gap, MetricSpec
from mubench.discovery.find import Catalogue
from mubench.planning.suite import HEADLINE


@dataclass(frozen=True)
class Column:
    """A metric's column. name: its key in cells.csv. place: columns stand in this order.

    pooled: the metric is computed for all seeds at once, so that its errors are not independent.
    """

    name: str
    title: str
    better: Better
    gap: Gap
    place: int
    pooled: bool = False


@dataclass(frozen=True)
class AvgGap:
    """A column of Avg. Gaps. metrics: what it is the mean over; the attack comes last."""

    name: str
    title: str
    metrics: tuple[str, ...]

    @property
    def attack(self) -> str:
        """The attack that it takes."""
        return self.metrics[-1]


@dataclass(frozen=True)
class Columns:
    """The metrics with a column, from left to right; attack: the headline's, whose Avg. Gap comes first."""

    metrics: tuple[Column, ...]
    attack: str = HEADLINE

    @classmethod
    def of(cls, specs: Iterable[MetricSpec], attack: str = HEADLINE) -> Columns:
        """The columns that these metrics declare."""
        columns = (
            Column(s.name, s.title, s.better, s.gap, s.column, not s.by_seed)
            for s in specs
            if s.column is not None
        )
        return cls.ordered(columns, attack)

    @classmethod
    def ordered(cls, columns: Iterable[Column], attack: str = HEADLINE) -> Columns:
        """These columns by place; of two that have one name, the last counts."""
        by_name = {column.name: column for column in columns}
        return cls(tuple(sorted(by_name.values(), key=lambda column: column.place)), attack)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The metrics' names."""
        return tuple(column.name for column in self.metrics)

    @cached_property
    def accuracies(self) -> tuple[str, ...]:
        """The metrics that enter every Avg. Gap."""
        return tuple(column.name for column in self.metrics if column.gap == "accuracy")

    @cached_property
    def gaps(self) -> tuple[AvgGap, ...]:
        """An Avg. Gap per attack, the headline's first; MIA's is the one without an addition to its name."""
        gaps = []
        for column in self.metrics:
            if column.gap == "attack":
                plain = column.name == "mia"
                name = "avg_gap" if plain else f"avg_gap_{column.name.removeprefix('mia_')}"
                title = "Avg. Gap" if plain else f"Avg. Gap ({column.title.removeprefix('MIA-')})"
                gaps.append(AvgGap(name, title, (*self.accuracies, column.name)))
        return tuple(sorted(gaps, key=lambda gap: gap.attack != self.attack))

    @property
    def headline(self) -> AvgGap:
        """The Avg. Gap of the headline attack; without it, the first one. IndexError if there is none."""
        return self.gaps[0]

    @cached_property
    def pooled(self) -> frozenset[str]:
        """The names of those that are computed for all seeds at once."""
        return frozenset(column.name for column in self.metrics if column.pooled)

    def only(self, names: Iterable[str]) -> Columns:
        """Those of these names."""
        kept = set(names)
        return replace(self, metrics=tuple(column for column in self.metrics if column.name in kept))

    def titles(self) -> Mapping[str, str]:
        """The headings of the metrics and the Avg. Gaps, by column name."""
        metrics = {column.name: column.title for column in self.metrics}
        return {**metrics, **{gap.name: gap.title for gap in self.gaps}}


@lru_cache(maxsize=1)
def installed() -> Columns:
    """The columns of the built-in metrics and of installed ones."""
    return Columns.of(Catalogue().metrics.values())
