"""The table as text, once: which cells, which words under them, which of them bold.

Every renderer prints the same `Table`, so that the terminal, Markdown and LaTeX cannot disagree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from mubench.reporting.legend import legend
from mubench.reporting.summary import rows, summarise

TITLES = {
    "ua": "UA",
    "ra": "RA",
    "ta": "TA",
    "fta": "Forgotten TA",
    "mia": "MIA",
    "mia_svc": "MIA-SVC",
    "avg_gap": "Avg. Gap",
    "avg_gap_svc": "Avg. Gap (SVC)",
    "rte": "RTE",
}
# From here on a time reads better in minutes.
_MINUTES_FROM = 100.0


@dataclass(frozen=True)
class Cell:
    """Plain text; a renderer escapes it and makes it bold."""

    text: str
    bold: bool = False


@dataclass(frozen=True)
class Table:
    """Header, rows of cells (as long as the header), a caption and the lines below it.

    labels: how many columns on the left are words. blocks: the rows with which a block starts.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str
    notes: tuple[str, ...]
    labels: int = 1
    blocks: tuple[int, ...] = ()


def build(cells: pd.DataFrame, *, caption: str, notes: Sequence[str] = ()) -> Table:
    """The table of these cells. Raises ValueError unless exactly one row is the reference."""
    numbers, about = summarise(cells).set_index("method"), rows(cells)
    columns = [c for c in TITLES if c in numbers]
    header = ("Method", *(TITLES[c] for c in columns))
    said = (*legend(cells, numbers, about), *notes)
    return Table(header, tuple(body(numbers, about, columns)), caption, said)


def body(numbers: pd.DataFrame, about: pd.DataFrame, columns: Sequence[str]) -> list[tuple[Cell, ...]]:
    """The rows of a table or a block: the method's name and these columns.

    numbers: a summary with the method as index. about: `rows` of the same cells.
    """
    candidates = numbers[about["role"] == "method"]
    # Closest to the reference, never the largest value; a time is a cost, not a distance.
    best = {c: _smallest(candidates[_distance(c)]) for c in columns if c != "rte"}
    lines = []
    for name in numbers.index:
        line = numbers.loc[name]
        if line["status"] != "ok":
            texts = [Cell(str(line["status"])), *[Cell("")] * (len(columns) - 1)]
        else:
            own = about.loc[name, "role"] == "reference"
            mark = "*" if about.loc[name, "rte_shared"] else ""
            texts = [Cell(_text(c, line, own, mark), name in best.get(c, ())) for c in columns]
        lines.append((Cell(str(name)), *texts))
    return lines


def _distance(column: str) -> str:
    return column if column.startswith("avg_gap") else f"{column}_gap"


def _smallest(gaps: pd.Series[float]) -> set[str]:
    """The rows that print the smallest gap: two that print the same are equal to the reader."""
    printed = {str(name): f"{gap:.2f}" for name, gap in gaps.dropna().items()}
    least = min(map(float, printed.values()), default=math.nan)
    return {name for name, text in printed.items() if float(text) == least}


def _text(column: str, line: pd.Series[float], own: bool, mark: str) -> str:
    value = line[column]
    if math.isnan(value):
        return "n/a"
    if column.startswith("avg_gap"):
        return f"{value:.2f}"
    if column == "rte":
        return seconds(value, line["rte_std"], math.nan if own else line["rte_ratio"]) + mark
    return percent(value, line[f"{column}_std"], math.nan if own else line[f"{column}_gap"])


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
