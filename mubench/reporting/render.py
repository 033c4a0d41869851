"""Tables and pictures from the numbers of a run. Needs numpy and pandas, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mubench.reporting import classes, formats, tables
from mubench.reporting.plots.draw import draw, draw_classes
from mubench.reporting.plots.shown import Histograms
from mubench.reporting.summary import floor_bands, per_seed_gaps, reference, rows, summarise
from mubench.storage.files import write_atomic

if TYPE_CHECKING:
    from rich.console import Group

__all__ = ["Histograms", "floor_bands", "per_seed_gaps", "render", "rows", "summarise", "terminal_table"]


def render(
    cells: pd.DataFrame,
    histograms: Histograms,
    out: Path,
    *,
    caption: str,
    notes: Sequence[str] = (),
    plots: bool = True,
) -> list[Path]:
    """Write the tables, and the pictures into `out`/plots; returns the paths of what is now there.

    cells: a line per row of the table and seed, in table order: method, role, seed, status, reason,
    ua, ra, ta, mia, mia_svc (percent; fta too where a class is forgotten), rte (seconds),
    rte_shared, and any further numbers, which go to cells.csv as they are. With a column `class`,
    the class forgotten, they make one table with a block per class.
    histograms: row -> {"forget", "retain", "test"} -> 1-D log-odds of the true class, all seeds.
    Every file is replaced whole. The same input gives the same bytes, and unchanged pictures are
    not drawn again.

    Raises ValueError unless exactly one row has the role "reference".
    """
    classes_apart = "class" in cells
    table = _table(cells, caption, notes)
    numbers = classes.summarise(cells) if classes_apart else summarise(cells)
    gaps = classes.per_seed_gaps(cells) if classes_apart else per_seed_gaps(cells)
    texts = {
        "table.md": formats.markdown(table),
        "table.tex": formats.latex(table),
        "table-standalone.tex": formats.latex_standalone(table),
        "table.csv": formats.csv(numbers),
        "cells.csv": formats.csv(gaps.astype({"seed": "Int64"})),
    }
    for name, text in texts.items():
        write_atomic(out / name, text.encode())
    written = [out / name for name in texts]
    if not plots:
        return written
    if classes_apart:
        return [*written, *draw_classes(numbers, reference(cells), out / "plots")]
    return [*written, *draw(cells, histograms, out / "plots")]


def terminal_table(cells: pd.DataFrame, *, caption: str, notes: Sequence[str] = ()) -> Group:
    """The same table for a rich console, caption and notes included."""
    return formats.terminal(_table(cells, caption, notes))


def _table(cells: pd.DataFrame, caption: str, notes: Sequence[str]) -> tables.Table:
    build = classes.build if "class" in cells else tables.build
    return build(cells, caption=caption, notes=notes)
