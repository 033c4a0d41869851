"""The published tables as printed, and whether their numbers follow from each other.

`tables.csv` holds the five tables of the paper, a line per printed cell: table, dataset, scenario,
method, metric, printed value, and the gap printed beside it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from mubench.errors import UsageError

COLUMNS = ("table", "dataset", "scenario", "method", "metric", "printed", "printed_gap")
GAPS = ("UA", "RA", "TA", "MIA")
AVG_GAP = "Avg. Gap"
REFERENCE = "Retrain"


@dataclass(frozen=True)
class Printed:
    """One printed cell, in percent (RTE: minutes:seconds in `text`); NaN-free: None where nothing stands."""

    table: str
    dataset: str
    scenario: str
    method: str
    metric: str
    text: str
    value: float | None
    gap: float | None


@dataclass(frozen=True)
class Discrepancy:
    """A printed gap or Avg. Gap that does not follow from the printed values, in points."""

    table: str
    method: str
    metric: str
    kind: str
    printed: float
    recomputed: float


def load(path: Path | None = None) -> list[Printed]:
    """The cells of `path`, or of the paper's own tables; UsageError naming the line of what is wrong."""
    source = path or resources.files(__package__).joinpath("tables.csv")
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as UTF-8 text: {error}") from None
    reader = csv.DictReader(text.splitlines())
    if missing := [c for c in COLUMNS if c not in (reader.fieldnames or [])]:
        raise UsageError(f"{path}: the column {missing[0]!r} is missing; needed: {', '.join(COLUMNS)}")
    return [_cell(line, f"{path or 'tables.csv'}, line {reader.line_num}") for line in reader]


def _cell(line: dict[str, str], where: str) -> Printed:
    if None in line or any(line[c] is None for c in COLUMNS):
        raise UsageError(f"{where}: needs {len(COLUMNS)} columns")
    value = None if line["metric"] == "RTE" else _number(line["printed"], where)
    table, dataset, scenario, method, metric, text = (line[c] for c in COLUMNS[:6])
    gap = _number(line["printed_gap"], where)
    return Printed(table, dataset, scenario, method, metric, text, value, gap)


def _number(text: str, where: str) -> float | None:
    try:
        return float(text) if text.strip() else None
    except ValueError:
        raise UsageError(f"{where}: {text!r} is not a number") from None


def audit(cells: Iterable[Printed], tolerance: float = 0.02) -> list[Discrepancy]:
    """The printed gaps and Avg. Gaps that differ from those recomputed by more than `tolerance` points.

    A gap is |method - Retrain| of the printed values; the Avg. Gap the mean of the four gaps of UA, RA, TA
    and MIA. Rows without a printed gap, or in a table without Retrain, cannot be checked.
    """
    rows: dict[tuple[str, str], dict[str, dict[str, Printed]]] = {}
    for cell in cells:
        rows.setdefault((cell.table, cell.scenario), {}).setdefault(cell.method, {})[cell.metric] = cell
    return [
        discrepancy
        for methods in rows.values()
        if REFERENCE in methods
        for name, row in methods.items()
        if name != REFERENCE
        for discrepancy in _row(row, methods[REFERENCE])
        if abs(discrepancy.printed - discrepancy.recomputed) > tolerance + 1e-9
    ]


def _row(row: dict[str, Printed], reference: dict[str, Printed]) -> Iterator[Discrepancy]:
    gaps: dict[str, float] = {}
    for metric in GAPS:
        here, there = row.get(metric), reference.get(metric)
        if here is None or there is None or here.value is None or there.value is None:
            continue
        gaps[metric] = abs(here.value - there.value)
        if here.gap is not None:
            yield Discrepancy(here.table, here.method, metric, "gap", here.gap, round(gaps[metric], 4))
    total = row.get(AVG_GAP)
    if total is not None and total.value is not None and len(gaps) == len(GAPS):
        mean = round(sum(gaps.values()) / len(gaps), 4)
        yield Discrepancy(total.table, total.method, AVG_GAP, "avg_gap", total.value, mean)
