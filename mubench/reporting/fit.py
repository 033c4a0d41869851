"""A table for a narrow terminal: the columns that matter most, as many as there is room for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mubench.reporting.classes import ClassSummary
from mubench.reporting.columns import Columns
from mubench.reporting.formats import needed
from mubench.reporting.render import Report
from mubench.reporting.tables import Look, Table, titles_of

# A terminal of so many columns gets every column of a table: there is room to read them one under another.
WIDE = 200


def fitted(report: Report, width: int) -> Table:
    """The report's table, or a brief one of fewer columns where it is wider than `width` columns.

    The look has the last word: `wide` keeps every column, and so do columns that it names.
    """
    table, look = report.table, report.look
    if look.wide or look.columns or width >= WIDE or needed(table) <= width:
        return table
    summary = report.summary
    columns = (summary.mean if isinstance(summary, ClassSummary) else summary).columns
    shown = table.header[table.labels :]
    names = {title: name for name, title in titles_of(columns).items()}
    kept: set[str] = set()
    brief = table
    for name in _by_weight(columns, [names[title] for title in shown]):
        chosen = tuple(names[title] for title in shown if names[title] in {*kept, name})
        tried = report.looking(Look(chosen, look.compact, brief=True))
        if not kept or needed(tried) <= width:
            kept.add(name)
            brief = tried
    left = ", ".join(title for title in shown if names[title] not in kept)
    return replace(brief, notes=(*brief.notes, f"Not shown: {left}; --wide shows them.")) if left else brief


def _by_weight(columns: Columns, shown: Sequence[str]) -> list[str]:
    """The columns, the weightiest first: the headline's, the cost, then what the headline is made of."""
    first: list[str] = []
    if columns.gaps:
        start, *others = columns.accuracies or ("",)
        first = [columns.headline.name, "rank", columns.headline.attack, start, "rte", *reversed(others)]
    return [name for name in first if name in shown] + [name for name in shown if name not in first]
