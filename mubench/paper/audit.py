"""Whether the numbers of published tables follow from each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mubench.paper.published import AVG_GAP, FOUR, REFERENCE, PublishedRow


@dataclass(frozen=True)
class Checked:
    """A printed gap or Avg. Gap beside what the printed values give, in points."""

    table: str
    method: str
    metric: str
    kind: str
    printed: float
    recomputed: float

    def follows(self, tolerance: float = 0.02) -> bool:
        """Whether the two differ by no more than `tolerance` points."""
        # both are decimals that binary numbers only come near
        return abs(self.printed - self.recomputed) <= tolerance + 1e-9


def check(rows: Iterable[PublishedRow]) -> list[Checked]:
    """Every printed gap and Avg. Gap that can be recomputed.

    A gap is |method - Retrain| of the printed values; the Avg. Gap the mean of the four gaps of UA, RA, TA
    and MIA. Rows without a printed gap, or in a table without Retrain, cannot be checked.
    """
    tables: dict[tuple[str, ...], dict[str, PublishedRow]] = {}
    for row in rows:
        tables.setdefault(row.block, {})[row.method] = row
    return [
        checked
        for methods in tables.values()
        if REFERENCE in methods
        for name, row in methods.items()
        if name != REFERENCE
        for checked in _row(row, methods[REFERENCE])
    ]


def audit(rows: Iterable[PublishedRow], tolerance: float = 0.02) -> list[Checked]:
    """Those that do not follow: off by more than `tolerance` points."""
    return [one for one in check(rows) if not one.follows(tolerance)]


def _row(row: PublishedRow, reference: PublishedRow) -> Iterator[Checked]:
    gaps = {
        metric: round(abs(row.values[metric].mean - reference.values[metric].mean), 4)
        for metric in FOUR
        if metric in row.values and metric in reference.values
    }
    for metric, gap in gaps.items():
        if metric in row.gaps:
            yield Checked(row.table, row.method, metric, "gap", row.gaps[metric], gap)
    if AVG_GAP in row.values and len(gaps) == len(FOUR):
        mean = round(sum(gaps.values()) / len(gaps), 4)
        yield Checked(row.table, row.method, AVG_GAP, "avg_gap", row.values[AVG_GAP].mean, mean)
