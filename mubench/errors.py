"""Errors for people: what was wrong, where, and the nearest right thing."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

# Names that an error lists at most.
MOST_NAMES = 10
LISTED = ("method", "mask", "suite", "dataset", "metric", "model", "engine", "tracker")


class UsageError(Exception):
    """The request itself is wrong: one clear line, exit code 2, nothing was lost."""


def printable(text: str) -> str:
    r"""`text` in one line, for terminals and logs: what cannot be printed is escaped, as \\x1b or \\n."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _closest(name: str, known: Iterable[str]) -> str | None:
    lower = {n.lower(): n for n in known}
    found = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
    return lower[found[0]] if found else None


def class_label(k: int, classes: Sequence[str]) -> str:
    """'class 3 (cat)', or 'class 3' where the names are not known."""
    return f"class {k} ({classes[k]})" if classes else f"class {k}"


def quote(value: object, limit: int = 80) -> str:
    """`repr(value)`, its middle left out if it is longer than `limit` characters."""
    text = repr(value)
    half = (limit - 3) // 2
    return text if len(text) <= limit else f"{text[:half]}...{text[-half:]}"


def suggestion(name: str, known: Iterable[str], kind: str = "") -> str:
    """' Did you mean X?' for the closest of `known`, else the first of what there is.

    kind: what they are, if `mubench list` can list them all.
    """
    names = sorted(known)
    if closest := _closest(name, names):
        return f" Did you mean {closest!r}?"
    more = len(names) - MOST_NAMES
    rest = f", {more} more" + (f": mubench list {kind}s" if kind in LISTED else "") if more > 0 else ""
    return f" Known: {', '.join(names[:MOST_NAMES]) or 'none'}{rest}."


def need_package(package: str, user: str, extra: str) -> None:
    """UsageError that says what to install, unless the package that `user` needs is; extra: of mubench."""
    if importlib.util.find_spec(package) is None:
        raise UsageError(f"{user} needs {package}, which is not installed: pip install 'mubench[{extra}]'")


def suggest_file(path: Path) -> str:
    """' Did you mean X?' for the file of the same kind in the same folder whose name is close, or nothing."""
    found = _closest(path.stem, [p.stem for p in sorted(path.parent.glob(f"*{path.suffix}"))])
    return f" Did you mean {found + path.suffix!r}?" if found else ""


def unknown(kind: str, name: str, known: Iterable[str], where: str = "") -> UsageError:
    """The error for a name that does not exist, with a suggestion."""
    place = f" in {where}" if where else ""
    return UsageError(f"unknown {kind} {quote(name)}{place}.{suggestion(name, known, kind)}")


@contextmanager
def error_context(place: str) -> Iterator[None]:
    """Prefix UsageErrors raised inside with `place`."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from error


def one_line(text: str) -> str:
    """`text` in one line with single spaces, for tables and files; other control characters are escaped."""
    return printable(" ".join(text.split()))
