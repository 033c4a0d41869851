"""Own numbers beside published ones, cell by cell and like for like."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mubench.errors import UsageError, unknown
from mubench.paper.published import AVG_GAP, REFERENCE, RTE, PublishedRow, plain
from mubench.planning.suite import EVERY, ClassForget, RandomForget, Suite
from mubench.reporting.classes import ClassSummary
from mubench.reporting.summary import Summary

# A suite may name a class by its number; published tables name it.
_CLASSES = {
    "cifar10": (*("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),)
}
# What stands beside what: MIA and Avg. Gap only where the print's attack is the SVC.
GAP = "avg_gap_svc"
_ACCURACIES = {"UA": ("UA", "ua"), "RA": ("RA", "ra"), "TA": ("TA", "ta")}
_ATTACKS = {"MIA": ("MIA-SVC", "mia_svc"), AVG_GAP: ("Avg. Gap (SVC)", GAP)}
SHARE_OF_TIME = f"{RTE} / {REFERENCE}"


@dataclass(frozen=True)
class Difference:
    """A published cell beside our own.

    Percent; Avg. Gap in points; RTE as a share of Retrain's, in percent. difference: own - printed.
    errors: the same in standard errors of our own mean, sd over the seeds / sqrt(seeds); None with one
    seed, or where the seeds do not differ.
    """

    source: str
    table: str
    scenario: str
    method: str
    metric: str
    printed: float
    printed_sd: float | None
    own: float
    own_sd: float | None
    seeds: int
    difference: float
    errors: float | None


def forgotten(suite: Suite) -> str:
    """What the suite forgets, as published rows name it; "class" for every class in turn."""
    match suite.forget:
        case RandomForget(percent=percent):
            return f"random-{percent:g}"
        case ClassForget(target=target):
            if target == EVERY:
                return "class"
            names = _CLASSES.get(suite.dataset, ())
            known = isinstance(target, int) and target < len(names)
            return f"class-{names[target] if known else target}"  # type: ignore[index]
    return suite.forget.scenario


def answering(rows: Sequence[PublishedRow], suite: Suite, where: str) -> list[PublishedRow]:
    """The published rows of what the suite measures.

    Of the source that its key `paper` names ("wss-cl:1") the rows of that table; of all others those of
    the same dataset. What is forgotten is always the same. Raises UsageError if there are none, or if
    `paper` names no table.
    """
    key, _, table = (suite.paper or "").partition(":")
    if suite.paper and not any(_is_named(row, key, table) for row in rows):
        known = {f"{row.key}:{_number(row.table)}": None for row in rows if row.table}
        raise unknown("published table", suite.paper, known, f"{where}: paper")
    scenario = forgotten(suite)
    found = [
        row
        for row in rows
        if row.scenario == scenario or (scenario == "class" and row.scenario.startswith("class-"))
        if (_is_named(row, key, table) if row.key == key else plain(row.dataset) == plain(suite.dataset))
    ]
    if not found:
        settings = sorted({f"{plain(row.dataset)} {row.scenario.partition('-')[0]}" for row in rows})
        raise UsageError(
            f"{where}: no published table holds {suite.dataset}, {scenario}; there are {', '.join(settings)}"
        )
    return found


def _number(table: str) -> str:
    return table.lower().removeprefix("table ").strip()


def _is_named(row: PublishedRow, key: str, table: str) -> bool:
    return row.key == key.lower() and _number(row.table) == _number(table)


def differences(
    rows: Sequence[PublishedRow], summary: Summary | ClassSummary, suite: Suite
) -> list[Difference]:
    """Every published cell that we have a number for, in the order of the published rows."""
    own = _own_rows(summary, suite)
    times = {row.block: row.values[RTE].mean for row in rows if row.method == REFERENCE and RTE in row.values}
    return [
        difference
        for row in rows
        if (mine := own.get((row.scenario, plain(row.method))))
        for difference in (*_cells(row, mine), *_time(row, mine, times.get(row.block)))
    ]


@dataclass(frozen=True)
class _Own:
    """A row of our own: its line of table.csv, how many seeds, and the spread of its Avg. Gap over them."""

    numbers: Mapping[str, Any]
    seeds: int
    gap_sd: float

    def value(self, column: str) -> tuple[float, float]:
        """Mean and standard deviation over the seeds; NaN for what is not there."""
        spread = self.gap_sd if column == GAP else self.numbers.get(f"{column}_std", math.nan)
        return self.numbers.get(column, math.nan), spread


def _own_rows(summary: Summary | ClassSummary, suite: Suite) -> dict[tuple[str, str], _Own]:
    """Our rows that have numbers, by what is forgotten and their plain name."""
    if isinstance(summary, Summary):
        blocks = {forgotten(suite): (summary, summary.cells)}
    else:
        blocks = {f"class-{label}": (block, block.cells) for label, block in summary.blocks.items()}
        blocks["class"] = (summary.mean, summary.cells)
    rows = {}
    for scenario, (block, cells) in blocks.items():
        lines = block.numbers.to_dict("index")
        for name, seeds in block.ok["seeds"].items():
            numbers = {str(column): value for column, value in lines[name].items()}
            rows[scenario, plain(str(name))] = _Own(numbers, int(seeds), _gap_sd(cells, str(name)))
    return rows


def _gap_sd(cells: pd.DataFrame, method: str) -> float:
    """The spread over the seeds of the Avg. Gap taken seed by seed, over classes of their mean."""
    if GAP not in cells:
        return math.nan
    return float(cells[cells["method"] == method].groupby("seed")[GAP].mean().std(ddof=1))


def _cells(row: PublishedRow, own: _Own) -> Iterator[Difference]:
    for metric, (title, column) in (_ACCURACIES | (_ATTACKS if row.is_svc else {})).items():
        mean, sd = own.value(column)
        if metric not in row.values or math.isnan(mean) or (metric == AVG_GAP and row.method == REFERENCE):
            continue
        printed, spread = row.values[metric], sd if sd > 0 else None
        apart = mean - printed.mean
        yield Difference(
            *(row.source, row.table, row.scenario, row.method, title),
            printed=printed.mean,
            printed_sd=printed.sd,
            own=mean,
            own_sd=spread,
            seeds=own.seeds,
            difference=apart,
            errors=apart / (spread / math.sqrt(own.seeds)) if spread else None,
        )


def _time(row: PublishedRow, own: _Own, reference: float | None) -> Iterator[Difference]:
    """The share of Retrain's time: seconds of two machines cannot be compared."""
    share = 100 * own.numbers["rte_ratio"]
    if reference and RTE in row.values and row.method != REFERENCE and not math.isnan(share):
        printed = 100 * row.values[RTE].mean / reference
        words = (row.source, row.table, row.scenario, row.method, SHARE_OF_TIME)
        yield Difference(*words, printed, None, share, None, own.seeds, share - printed, None)
