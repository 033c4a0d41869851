"""The table as text, once: which cells, which words under them, which of them bold.

Every renderer prints the same `Table`, so that the terminal, Markdown and LaTeX cannot disagree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from mubench.errors import UsageError, one_line, unknown
from mubench.planning.rows import Status
from mubench.reporting.columns import Columns
from mubench.reporting.legend import AT_CHANCE, legend
from mubench.reporting.summary import Summary

# From here on a time reads better in minutes.
_MINUTES_FROM = 100.0


@dataclass(frozen=True)
class TextCell:
    """Plain text; a renderer escapes it and makes it bold."""

    text: str
    bold: bool = False

    def __post_init__(self) -> None:
        """Names come from plugins and files: nothing that steers a terminal may pass."""
        object.__setattr__(self, "text", one_line(self.text))


@dataclass(frozen=True)
class Table:
    """Header, rows of cells (as long as the header), a caption and the lines below it.

    labels: how many columns on the left are words. blocks: the rows with which a block starts.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[TextCell, ...], ...]
    caption: str
    notes: tuple[str, ...]
    labels: int = 1
    blocks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """As for `TextCell`, each text on a line of its own."""
        object.__setattr__(self, "header", tuple(map(one_line, self.header)))
        object.__setattr__(self, "caption", one_line(self.caption))
        object.__setattr__(self, "notes", tuple(map(one_line, self.notes)))


@dataclass(frozen=True)
class Look:
    """How a table is printed.

    columns: their titles or names, in this order; unless given, the table's own. compact: the paper's
    form, `4.51 (0.89)`, without standard deviations and without the share of the reference's time.
    brief: values alone, `4.51`, and intervals of Avg. Gaps. wide: every column on a narrow terminal too.
    """

    columns: tuple[str, ...] = ()
    compact: bool = False
    brief: bool = False
    wide: bool = False

    def names(self, columns: Columns, usual: Sequence[str]) -> list[str]:
        """The names of the columns to print; UsageError, with the nearest, for one that is not there."""
        titles = titles_of(columns)
        known = {title.lower(): name for name, title in titles.items()} | {name: name for name in titles}
        if wrong := [text for text in self.columns if text.lower() not in known]:
            raise unknown("column", wrong[0], titles.values())
        chosen = [known[text.lower()] for text in self.columns]
        if twice := [titles[name] for name in chosen if chosen.count(name) > 1]:
            raise UsageError(f"the column {twice[0]!r} is named twice")
        return chosen or list(usual)


def titles_of(columns: Columns) -> dict[str, str]:
    """The headings of all columns that a table can have, by name."""
    titles = {}
    for name, title in columns.titles().items():
        titles[name] = title
        if columns.gaps and name == columns.headline.name:
            titles["rank"] = "Rank"
    return {**titles, "rte": "RTE"}


def build(summary: Summary, *, caption: str, notes: Sequence[str] = (), look: Look | None = None) -> Table:
    """The table of a summary; notes: the lines below the legend."""
    look, titles = look or Look(), titles_of(summary.columns)
    timed = summary.ok.empty or bool(summary.numbers["rte"].notna().any())
    absent = {*(() if is_ranked(summary) else ("rank",)), *(() if timed else ("rte",))}
    names = look.names(summary.columns, [name for name in titles if name not in absent])
    header = ("Method", *(titles[name] for name in names))
    below = (*legend(summary, names, look.compact, look.brief), *notes)
    return Table(header, tuple(body(summary, names, look)), caption, below)


def is_ranked(summary: Summary) -> bool:
    """Whether any row has a rank."""
    return "rank" in summary.numbers and bool(summary.numbers["rank"].notna().any())


def body(summary: Summary, names: Sequence[str], look: Look) -> list[tuple[TextCell, ...]]:
    """The rows of a table or a block: the method's name and these columns."""
    numbers = summary.table
    compared = {c.name for c in summary.columns.metrics if c.better == "reference"}
    decisive = {"rank", *(gap.name for gap in summary.columns.gaps[:1])}
    lines = []
    for row in numbers.index:
        line, about = numbers.loc[row], summary.rows.loc[row]
        if line["status"] != Status.OK:
            texts = [TextCell(str(line["status"])), *[TextCell("")] * (len(names) - 1)]
        else:
            beside = about["role"] != "reference" and not look.brief
            mark = "*" if about["rte_shared"] else ""
            texts = [
                TextCell(
                    _text(name, line, beside and name in {*compared, "rte"}, mark, look),
                    name in decisive and row in summary.best,
                )
                for name in names
            ]
        lines.append((TextCell(str(row)), *texts))
    return lines


def _text(name: str, line: pd.Series[float], beside: bool, mark: str, look: Look) -> str:
    """A cell; beside: with the difference from the reference, or for a time the share of its time."""
    value = line[name]
    if name == "rank":
        return "" if pd.isna(value) else str(value)
    if math.isnan(value):
        return "n/a"
    if f"{name}_std" not in line:
        interval = "" if look.compact else between(line[f"{name}_low"], line[f"{name}_high"])
        return f"{value:.2f}{interval}"
    spread = math.nan if look.compact or look.brief else line[f"{name}_std"]
    if name == "rte":
        return seconds(value, spread, line["rte_ratio"] if beside and not look.compact else math.nan) + mark
    chance = AT_CHANCE if line.get(f"{name}_at_chance") == 1 else ""
    return percent(value, spread, line[f"{name}_gap"] if beside else math.nan) + chance


def between(low: float, high: float) -> str:
    """` [1.90, 2.70]`, or nothing if it is not known."""
    return "" if math.isnan(low) else f" [{low:.2f}, {high:.2f}]"


def percent(mean: float, std: float, gap: float) -> str:
    """`4.51 ± 0.12 (0.89)`; what is NaN is left out."""
    spread = "" if math.isnan(std) else f" ± {std:.2f}"
    return f"{mean:.2f}{spread}" + ("" if math.isnan(gap) else f" ({gap:.2f})")


def seconds(mean: float, std: float, ratio: float) -> str:
    """`1.23 s ± 0.02 (0.21×)`, from 100 s on `2:55 ± 0:04 (0.07×)`; what is NaN is left out."""
    long = mean >= _MINUTES_FROM
    text = _clock(mean) if long else f"{mean:.2f} s"
    if not math.isnan(std):
        text += f" ± {_clock(std)}" if long else f" ± {std:.2f}"
    return text if math.isnan(ratio) else f"{text} ({_share(ratio)})"


def _clock(mean: float) -> str:
    minutes, rest = divmod(round(mean), 60)
    return f"{minutes}:{rest:02d}"


def _share(ratio: float) -> str:
    if 0 < ratio < 0.001:
        return "<0.001×"
    return f"{ratio:.3f}×" if 0 < ratio < 0.1 else f"{ratio:.2f}×"
