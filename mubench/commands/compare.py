"""`mubench compare`: is one row closer to Retrain than another?"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import pandas as pd

from mubench.api.metric import MetricSpec
from mubench.commands.render import Results, computed
from mubench.errors import UsageError, printable, unknown
from mubench.planning.rows import Status
from mubench.reporting.classes import ClassSummary
from mubench.reporting.gap import ENOUGH
from mubench.reporting.ranking import GapDifference, compare_frames
from mubench.reporting.render import Report
from mubench.reporting.statistics import FEWEST_SEEDS
from mubench.reporting.summary import Summary
from mubench.reporting.target import side_by_side, signed
from mubench.reporting.uncertainty import fit_variances, gap_fits
from mubench.storage.store import Store

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Compared:
    """A number of two rows: how far each is from Retrain, and the paired difference of the two.

    In points; where every class is forgotten in turn, means over the classes of their own gaps.
    """

    metric: str
    title: str
    first: float
    second: float
    apart: GapDifference


@dataclass(frozen=True)
class Comparison:
    """Whether the first row is closer to Retrain than the second.

    sentence: the answer in words. lines: the metric that was asked for, then all others. notes: what to know.
    """

    first: str
    second: str
    sentence: str
    lines: tuple[Compared, ...]
    notes: tuple[str, ...]

    @property
    def table(self) -> pd.DataFrame:
        """The numbers by metric: both gaps, their difference, its interval and p; in points."""
        frame = pd.DataFrame([_line(line) for line in self.lines])
        return frame.set_index("metric").rename(columns={"first_gap": self.first, "second_gap": self.second})

    def __str__(self) -> str:
        """The answer in words."""
        return self.sentence

    __repr__ = __str__


def compare_rows(
    found: Results,
    first: str,
    second: str,
    *,
    store: Store,
    console: Console,
    metric: str | None = None,
    as_json: bool = False,
) -> int:
    """Print whether the first row is closer to Retrain than the second, and each metric below.

    metric: an Avg. Gap or a metric, by name or title; unless given, the headline Avg. Gap.
    Raises UsageError for what cannot be compared.
    """
    _, report = computed(found.manifest, store, found.catalogue.metrics, found.folder, found.kept)
    compared = compare_in(report, found.catalogue.metrics, first, second, metric)
    if as_json:
        asked, kept, notes = compared.lines[0], list(compared.lines), list(compared.notes)
        console.print_json(json.dumps(_facts(asked, kept, first, second, notes), ensure_ascii=False))
        return 0
    console.print(printable(compared.sentence), soft_wrap=True, highlight=False)
    _print(list(compared.lines), first, second, console)
    for note in compared.notes:
        console.print(printable(f"- {note}"), soft_wrap=True, highlight=False)
    return 0


def compare_in(
    report: Report, metrics: Mapping[str, MetricSpec], first: str, second: str, metric: str | None = None
) -> Comparison:
    """Two rows of a report; metric: by name or title, unless given the headline Avg. Gap.

    Raises UsageError for what cannot be compared.
    """
    summary = report.summary
    whole = summary if isinstance(summary, Summary) else summary.mean
    _check_rows(whole, first, second)
    if not whole.columns.gaps:
        raise UsageError("there is no Avg. Gap to compare by: the results lack the metrics it is made of")
    titles = _titles(metrics, summary)
    name = whole.columns.headline.name if metric is None else _named(metric, titles)
    lines = [
        _compared(summary, line, titles[line], first, second)
        for line in dict.fromkeys((name, *whole.columns.titles()))
    ]
    asked = lines[0]
    if asked is None or math.isnan(asked.apart.p):
        raise UsageError(_why_not(asked, first, second, titles[name]))
    text = sentence(asked, first, second, whole.reference)
    kept = tuple(line for line in lines if line is not None)
    return Comparison(first, second, text, kept, tuple(_notes(summary, whole)))


def _check_rows(whole: Summary, first: str, second: str) -> None:
    rows = whole.rows
    for name in (first, second):
        if name not in rows.index:
            raise unknown("method", name, map(str, rows.index))
    if first == second:
        raise UsageError(f"compare takes two rows, not {printable(first)!r} twice")
    for name in dict.fromkeys((whole.reference, first, second)):
        if rows.loc[name, "status"] != Status.OK:
            about = rows.loc[name]
            raise UsageError(f"{printable(name)} has no numbers: {about['status']}. {about['reason']}")
    own = whole.targets.own
    if own.get(first) != own.get(second):
        row = first if first in own else second
        raise UsageError(
            f"{printable(row)} is compared with its own {whole.reference}, so its gap cannot be compared "
            "with those of other rows"
        )
    if whole.reference in (first, second) and len(whole.retrains) < ENOUGH:
        raise UsageError(
            f"{whole.reference} is what rows are compared with, so its own gap is 0; with floor = "
            f"{ENOUGH - 1} or more in the suite, each is compared with the mean of the others"
        )


def _titles(metrics: Mapping[str, MetricSpec], summary: Summary | ClassSummary) -> dict[str, str]:
    """What can be compared, by name: the table's columns, and the metrics that only cells.csv has."""
    columns = summary.columns if isinstance(summary, Summary) else summary.mean.columns
    beside = {name: spec.title for name, spec in metrics.items() if name in summary.cells}
    return {**beside, **columns.titles()}


def _named(asked: str, titles: Mapping[str, str]) -> str:
    known = {title.lower(): name for name, title in titles.items()} | {name: name for name in titles}
    if asked.lower() not in known:
        raise unknown("metric", asked, titles)
    return known[asked.lower()]


def _compared(
    summary: Summary | ClassSummary, name: str, title: str, first: str, second: str
) -> Compared | None:
    """The difference in a metric or Avg. Gap; None where one of the two has no such number."""
    columns = summary.columns if isinstance(summary, Summary) else summary.mean.columns
    names = next((gap.metrics for gap in columns.gaps if gap.name == name), (name,))
    blocks = [summary] if isinstance(summary, Summary) else list(summary.blocks.values())
    rows = side_by_side([signed(block.cells, names, block.targets) for block in blocks])
    if first not in rows or second not in rows:
        return None
    fits = [fit_variances(block.numbers, block.rows["seeds"], block.columns) for block in blocks]
    shared = gap_fits(fits, names)
    apart = compare_frames(rows[first], rows[second], shared[first] + shared[second])
    if apart is None:
        return None
    return Compared(name, title, _gap(rows[first]), _gap(rows[second]), apart)


def _gap(rows: pd.DataFrame) -> float:
    return float(rows.mean().abs().mean())


def _why_not(asked: Compared | None, first: str, second: str, title: str) -> str:
    if asked is None:
        return f"{first} and {second} have no {title} at the same seeds"
    if asked.apart.seeds > 1:
        return f"{title} has an attack that is fitted to all seeds at once and does not tell its error"
    return f"{first} and {second} share one seed, which has no spread: it takes two to compare, better 20"


def sentence(asked: Compared, first: str, second: str, reference: str) -> str:
    """Whether one of the two is closer to the reference, by how much, and how sure that is."""
    apart = asked.apart
    low, high, points = apart.low, apart.high, abs(apart.difference)
    if not apart.apart:
        few = f"; {apart.seeds} seeds are too few to tell" if apart.seeds < FEWEST_SEEDS else ""
        return (
            f"{first} and {second} cannot be told apart: their {asked.title} differs by "
            f"{apart.difference:+.2f} points, 95 % interval {low:+.2f} to {high:+.2f} over {apart.seeds} "
            f"seeds ({_p(apart.p)}){few}."
        )
    closer, farther = (first, second) if apart.difference < 0 else (second, first)
    near, far = sorted((abs(low), abs(high)))
    return (
        f"{closer} is closer to {reference} than {farther} by {points:.2f} points of {asked.title}, "
        f"95 % interval {near:.2f} to {far:.2f} over {apart.seeds} seeds ({_p(apart.p)})."
    )


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def _notes(summary: Summary | ClassSummary, whole: Summary) -> list[str]:
    """What to know of the numbers."""
    notes = [f"Gaps: absolute differences from {whole.target}, of means over the seeds, in points."]
    if isinstance(summary, ClassSummary):
        notes.append(
            f"Each is the mean of the gaps of the {len(summary.blocks)} classes, seed by seed paired."
        )
    return notes


def _facts(
    asked: Compared, lines: list[Compared], first: str, second: str, notes: list[str]
) -> dict[str, object]:
    closer = (first if asked.apart.difference < 0 else second) if asked.apart.apart else None
    return {
        "first": first,
        "second": second,
        "closer": closer,
        **_line(asked),
        "metrics": [_line(line) for line in lines[1:]],
        "notes": notes,
    }


def _line(line: Compared) -> dict[str, object]:
    """difference: the first row's gap minus the second's."""
    numbers = {
        "first_gap": line.first,
        "second_gap": line.second,
        **asdict(line.apart),
    }
    known = {key: None if math.isnan(value) else value for key, value in numbers.items()}
    return {"metric": line.metric, "title": line.title, **known}


def _print(lines: list[Compared], first: str, second: str, console: Console) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, title in enumerate(("Gap in", first, second, "Difference", "95 % interval")):
        grid.add_column(Text(printable(title)), justify="left" if i == 0 else "right")
    for line in lines:
        apart = line.apart
        between = "n/a" if math.isnan(apart.low) else f"{apart.low:+.2f} to {apart.high:+.2f}"
        words = (line.title, f"{line.first:.2f}", f"{line.second:.2f}", f"{apart.difference:+.2f}", between)
        grid.add_row(*(Text(printable(word)) for word in words))
    console.print(grid)
