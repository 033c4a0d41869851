"""Tables and pictures from the numbers of a run. Needs numpy and pandas, no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from mubench.reporting import classes, differences, formats, tables
from mubench.reporting.classes import ClassSummary, summarise_classes
from mubench.reporting.columns import Columns, installed
from mubench.reporting.histograms import Histograms
from mubench.reporting.plots.draw import draw, draw_classes
from mubench.reporting.plots.shown import Width
from mubench.reporting.summary import Summary, shown_columns, summarise
from mubench.storage.files import write_atomic


@dataclass(frozen=True)
class Report:
    """The summary of some cells and the table made of it: everything that is printed or drawn.

    differences: those from Retrain, see `differences.differences`. below: the lines below the legend.
    look: how the table is printed. environments: what is known of where the cells ran, each once.
    """

    summary: Summary | ClassSummary
    differences: pd.DataFrame
    caption: str
    below: Sequence[str]
    look: tables.Look
    environments: Sequence[Mapping[str, Any]] = ()

    @cached_property
    def table(self) -> tables.Table:
        """The table; UsageError if the look names a column that is not there."""
        return self.looking(self.look)

    def looking(self, look: tables.Look) -> tables.Table:
        """The table, printed in another way."""
        if isinstance(self.summary, Summary):
            return tables.build(self.summary, caption=self.caption, notes=self.below, look=look)
        return classes.build(self.summary, caption=self.caption, notes=self.below, look=look)


def make_report(
    cells: pd.DataFrame,
    *,
    caption: str,
    notes: Sequence[str] = (),
    columns: Columns | None = None,
    margin: float = 1.0,
    look: tables.Look | None = None,
    timed_apart: Sequence[str] = (),
    environments: Sequence[Mapping[str, Any]] = (),
) -> Report:
    """Summarise the cells once and make their table.

    cells: a line per row of the table and seed, in table order: method, role, seed, status, reason,
    the metrics (percent), rte (seconds), rte_shared, and any further numbers, which go to cells.csv as
    they are. With a column `class`, the class forgotten, they make one table with a block per class.
    columns: those that the metrics declare; unless given, of the installed ones. margin: the difference
    from Retrain in points that the suite calls equal. look: how the table is printed. timed_apart: the rows
    whose times were taken on another machine than the reference's: they are no share of its. environments:
    those that the records say they were made in.

    Raises ValueError unless exactly one row has the role "reference".
    """
    shown = shown_columns(cells, columns or installed())
    summary = summarise_classes(cells, shown) if "class" in cells else summarise(cells, shown)
    _part_times(summary, timed_apart)
    apart = differences.differences(summary, margin)
    reference = summary.reference if isinstance(summary, Summary) else summary.mean.reference
    below = [*differences.legend(apart, reference, margin), *notes]
    return Report(summary, apart, caption, below, look or tables.Look(), environments)


def _part_times(summary: Summary | ClassSummary, rows: Sequence[str]) -> None:
    """Take away the share of the reference's time of these rows."""
    parts = [summary] if isinstance(summary, Summary) else [*summary.blocks.values(), summary.mean]
    for part in parts:
        part.numbers.loc[part.numbers.index.isin(rows), "rte_ratio"] = math.nan


def write_tables(report: Report, out: Path) -> list[Path]:
    """Write the tables and cells.csv, each file whole; returns their paths."""
    summary, table = report.summary, report.table
    numbers = summary.table.reset_index() if isinstance(summary, Summary) else summary.numbers
    texts = {
        "table.md": formats.markdown(table),
        "table.tex": formats.latex(table),
        "table-standalone.tex": formats.latex_standalone(table),
        "table.csv": formats.csv(numbers),
        "cells.csv": formats.csv(summary.cells.astype({"seed": "Int64"})),
        "differences.csv": formats.csv(report.differences),
    }
    for name, text in texts.items():
        write_atomic(out / name, text.encode())
    return [out / name for name in texts]


def write_plots(report: Report, histograms: Histograms, out: Path, width: Width = "screen") -> list[Path]:
    """Draw the pictures into `out`/plots unless they are there already; returns the paths."""
    if isinstance(report.summary, ClassSummary):
        return draw_classes(report.summary, out / "plots", width)
    return draw(report.summary, histograms, out / "plots", width)
