"""A table on a narrow terminal: which columns are kept, what their cells say, what is said of the rest."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from rich.console import Console

from mubench.reporting import formats
from mubench.reporting.fit import WIDE, fitted
from mubench.reporting.render import make_report
from mubench.reporting.tables import Look


def report(cells, look=None):
    return make_report(cells, caption="Caption.", look=look)


def printed(table, width):
    console = Console(width=width, force_terminal=False)
    with console.capture() as captured:
        console.print(formats.terminal(table))
    return captured.get().splitlines()


def test_80_columns_show_the_headline_the_cost_and_as_much_else_as_fits(sixteen):
    whole, table = report(sixteen()), fitted(report(sixteen()), 80)

    lines = printed(table, 80)

    assert formats.needed(table) <= 80 < formats.needed(whole.table)
    assert {"Method", "Avg. Gap (SVC)", "Rank", "MIA-SVC", "UA", "RTE"} <= set(table.header)
    assert list(table.header) == [title for title in whole.table.header if title in table.header]
    assert sum(line.lstrip().startswith("Method ") for line in lines) == 1  # one grid, not several
    left = [title for title in whole.table.header if title not in table.header]
    assert table.notes[-1] == f"Not shown: {', '.join(left)}; --wide shows them."


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_the_width_that_a_table_needs_is_the_width_it_takes(sixteen, width):
    table = fitted(report(sixteen()), width)

    grid = [line for line in printed(table, width) if "─" in line]

    assert len(grid) == 1
    assert formats.needed(table) == len(grid[0]) <= width


def test_a_brief_cell_is_the_value_and_a_gap_keeps_its_interval(make):
    rows = [("Retrain", "reference", [5.4, 100, 94, 1, 12]), ("A", "method", [4.5, 99, 93, 1, 13])]
    cells = pd.DataFrame(
        [make(n, r, s, [v + s % 3 for v in values]) for n, r, values in rows for s in range(6)]
    )
    full = {t: c.text for t, c in zip(*(lambda t: (t.header, t.rows[1]))(report(cells).table), strict=True)}
    look = Look(("UA", "RTE", "Avg. Gap (SVC)"), brief=True)

    table = report(cells, look).table

    assert [cell.text for cell in table.rows[1]] == ["A", "5.50", "10.00 s", full["Avg. Gap (SVC)"]]
    assert re.fullmatch(r"[\d.]+ \[[\d.]+, [\d.]+\]", full["Avg. Gap (SVC)"])
    assert table.notes[0] == "Cells: mean over 6 seeds, in percent."
    assert any(note.startswith("In square brackets") for note in table.notes)


@pytest.mark.parametrize(
    ("look", "width"), [(Look(wide=True), 60), (Look(("UA", "RA", "TA", "MIA", "rte")), 60), (None, WIDE)]
)
def test_who_asks_for_columns_or_has_no_narrow_terminal_gets_all_of_them(sixteen, look, width):
    asked = report(sixteen(), look)

    assert fitted(asked, width) is asked.table


def test_a_table_that_fits_stays_as_it_is(make):
    cells = pd.DataFrame([make("Retrain", "reference", 0, [5, 99, 90, 12, 12])])
    small = report(cells)

    assert fitted(small, formats.needed(small.table)) is small.table
