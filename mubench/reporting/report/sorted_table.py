"""The table of table.md, sortable by a click on a heading."""

from __future__ import annotations

import itertools
import re

from mubench.reporting.report.markup import Markup, element, join
from mubench.reporting.tables import Table, TextCell

_NUMBER = re.compile(r"[<>]?(-?\d+(?:\.\d+)?)")
# With more columns than these, what stands in brackets goes on a line of its own.
_ABREAST = 8
_CLOCK = re.compile(r"(\d+):(\d\d)\b")


def section(table: Table) -> Markup:
    """The table and its notes. Each block is a body of its own, so that sorting keeps classes together."""
    head = [
        element("th", name, scope="col", class_="word" if i < table.labels else None)
        for i, name in enumerate(table.header)
    ]
    starts = [*(table.blocks or (0,)), len(table.rows)]
    bodies = [
        element("tbody", *(_line(row, table.rows[a], table.labels) for row in table.rows[a:b]))
        for a, b in itertools.pairwise(starts)
    ]
    notes = (element("li", note) for note in table.notes)
    wide = " wide" * (len(table.header) - table.labels > _ABREAST)
    grid_ = element(
        "table", element("thead", element("tr", *head)), *bodies, class_=f"results sortable{wide}"
    )
    hint = element("p", "Click a heading to sort by it.", class_="quiet script-only")
    return join(element("div", grid_, class_="scroll"), hint, element("ul", *notes, class_="notes"))


def _line(row: tuple[TextCell, ...], first: tuple[TextCell, ...], labels: int) -> Markup:
    """first: the one of its block that names the class; sorted, every line has to."""
    words = [
        element("th", cell.text or above.text, scope="row", class_=None if cell.text else "quiet")
        for cell, above in zip(row[:labels], first, strict=False)
    ]
    return element("tr", *words, *(_cell(cell) for cell in row[labels:]))


def _cell(cell: TextCell) -> Markup:
    """The value, and paler what stands behind it: deviation, interval, difference."""
    first, *others = re.split(r"(?= [±(\[])", cell.text)
    parts = join(
        first,
        *(
            element("span", other, class_="beside" + " bracket" * other.startswith((" (", " [")))
            for other in others
        ),
    )
    content = element("strong", parts) if cell.bold else parts
    return element("td", content, data_value=_value(cell.text))


def _value(text: str) -> str | None:
    """What a cell is sorted by: its first number, of a time in minutes the seconds."""
    if clock := _CLOCK.match(text):
        return str(60 * int(clock[1]) + int(clock[2]))
    number = _NUMBER.match(text.replace("−", "-"))
    return number[1] if number else None
