"""HTML and SVG from nested calls. What is not `Markup` is escaped, so that no name can become a tag."""

from __future__ import annotations

import html
import re
from functools import cache
from typing import Any

from mubench.errors import printable

# Most of a page is numbers, in which there is nothing to escape.
_SPECIAL = re.compile("[&<>\"']").search


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def escaped(value: object) -> Markup:
    """The value as text of a page; control characters are shown escaped."""
    if isinstance(value, Markup):
        return value
    text = str(value)
    plain = text.isprintable() and not _SPECIAL(text)
    return Markup(text if plain else html.escape(printable(text)))


def join(*parts: object) -> Markup:
    """The parts one after another; None is nothing."""
    return Markup("".join([escaped(part) for part in parts if part is not None]))


def element(name: str, *children: object, **attributes: Any) -> Markup:
    """`element("a", "text", class_="b", data_x=1)` is `<a class="b" data-x="1">text</a>`.

    None as an attribute leaves it out; numbers have at most two decimals.
    """
    words = [f'{_before(key)}{short(value)}"' for key, value in attributes.items() if value is not None]
    inside = [escaped(part) for part in children if part is not None]
    return Markup(f"<{name}{''.join(words)}>{''.join(inside)}</{name}>")


@cache
def _before(key: str) -> str:
    """What stands before an attribute's value."""
    return f' {key.rstrip("_").replace("_", "-")}="'


def short(value: Any) -> str:
    """The value as an attribute: a number that is no integer with at most two decimals."""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) >= 0.005 else "0"
    return escaped(value)


def title(text: str) -> Markup:
    """What a browser shows while the pointer rests on the element around it."""
    return element("title", text)


def grid(header: list[object], rows: list[list[object]], **attributes: Any) -> Markup:
    """A plain table whose first column names its lines."""
    head = element("tr", *(element("th", cell, scope="col") for cell in header))
    body = [
        Markup(
            f'<tr><th scope="row">{escaped(row[0])}</th>'
            + "".join([f"<td>{escaped(cell)}</td>" for cell in row[1:]])
            + "</tr>"
        )
        for row in rows
    ]
    return element(
        "div",
        element("table", element("thead", head), element("tbody", *body), **attributes),
        class_="scroll",
    )
