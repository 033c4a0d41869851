"""Errors for people: what was wrong, where, and the nearest right thing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UsageError(Exception):
    """The request itself is wrong: one clear line, exit code 2, nothing was lost."""


def nearest(name: str, known: Iterable[str]) -> str:
    """' Did you mean X?' for the closest of `known`, else the list of what there is."""
    names = sorted(known)
    lower = {n.lower(): n for n in names}
    close = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
    if close:
        return f" Did you mean {lower[close[0]]!r}?"
    return f" Known: {', '.join(names) or 'none'}."


def unknown(kind: str, name: str, known: Iterable[str], where: str = "") -> UsageError:
    """The error for a name that does not exist, with a suggestion."""
    place = f" in {where}" if where else ""
    return UsageError(f"unknown {kind} {name!r}{place}.{nearest(name, known)}")
