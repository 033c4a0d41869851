"""What no value of a suite may be, whichever key it belongs to: checked before anything is read from it."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from mubench.errors import UsageError, quote

DEEPEST = 16
# Control characters, halves of surrogate pairs, line and paragraph separators: nothing that belongs into one
# line of a table, and some of it commands to a terminal.
UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")


def check_plain(raw: Mapping[str, Any], where: str) -> None:
    """UsageError naming `where` and the key for deep nesting, huge numbers or text that is not one line."""
    todo: list[tuple[str, Any, int]] = [("", raw, 0)]
    while todo:
        key, value, depth = todo.pop()
        place = f"{where}: {quote(key)[1:-1]}"
        if depth > DEEPEST:
            raise UsageError(f"{place}: nested more than {DEEPEST} levels deep")
        if isinstance(value, Mapping):
            for name in value:
                if _unprintable(name):
                    raise UsageError(f"{where}: the key {quote(name)} holds a control character")
            todo += [(f"{key}.{name}".lstrip("."), inner, depth + 1) for name, inner in value.items()]
        elif isinstance(value, list):
            todo += [(f"{key}.{i}", inner, depth + 1) for i, inner in enumerate(value)]
        elif isinstance(value, str) and _unprintable(value):
            raise UsageError(
                f"{place}: {quote(value)} holds a control character; write it as one line of text"
            )
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise UsageError(f"{place}: the number is beyond 64 bits")


def _unprintable(text: str) -> bool:
    return not text.isprintable() and any(unicodedata.category(c) in UNPRINTABLE for c in text)
