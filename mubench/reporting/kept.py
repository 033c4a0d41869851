"""The numbers of an earlier cells.csv: they stand where the store has no record."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mubench.errors import UsageError, one_line
from mubench.planning.rows import Status
from mubench.reporting.formats import unquoted

FILE = "cells.csv"
_TEXTS = ("method", "role", "status", "reason", "key", "target")


class Kept(Mapping[str, Mapping[str, Any]]):
    """The cells of a cells.csv that are ok or FAILED, by key; a line is read when it is asked for."""

    def __init__(self, names: Sequence[str] = (), lines: Mapping[str, Sequence[str]] | None = None) -> None:
        """names: of the columns. lines: key -> the texts of its fields."""
        self._lines = lines or {}
        self._numbers = {
            name: i for i, name in enumerate(names) if name != "class" and not name.startswith("avg_gap")
        }

    def __getitem__(self, key: str) -> Mapping[str, Any]:
        """The line's values by column; an empty field is NaN."""
        texts = self._lines[key]
        return {name: _value(name, texts[i]) for name, i in self._numbers.items()}

    def __contains__(self, key: object) -> bool:
        """Whether the cell is there; its line is not read."""
        return key in self._lines

    def __iter__(self) -> Iterator[str]:
        """The keys."""
        return iter(self._lines)

    def __len__(self) -> int:
        """How many cells."""
        return len(self._lines)

    def besides(self, key: str, known: Mapping[str, Any]) -> dict[str, Any]:
        """What the line of an ok cell says beyond `known`, empty fields aside; nothing of another cell."""
        texts = self._lines.get(key)
        if texts is None or texts[self._numbers["status"]] != Status.OK:
            return {}
        more = sorted(self._numbers.keys() - known.keys(), key=self._numbers.__getitem__)
        return {name: _value(name, text) for name in more if (text := texts[self._numbers[name]])}


def kept_cells(folder: Path) -> Kept:
    """What the folder's cells.csv has; nothing if there is no such file.

    Raises UsageError if it is not one that mubench wrote.
    """
    path = folder / FILE
    if not path.exists():
        return Kept()
    try:
        with path.open(encoding="utf-8", newline="") as file:
            names, *lines = csv.reader(file)
        status, key = names.index("status"), names.index("key")
        found = {}
        for line in lines:
            if len(line) != len(names):
                raise ValueError(f"{len(line)} fields under {len(names)} headings")
            if line[key] and line[status] in (Status.OK, Status.FAILED):
                found[line[key]] = line
        return Kept(names, found)
    except (OSError, ValueError, csv.Error) as error:
        raise UsageError(f"{path}: not a table of cells of mubench: {one_line(str(error))}") from None


def _value(name: str, text: str) -> Any:
    """What a field of cells.csv stands for; an empty one is NaN."""
    if name in _TEXTS:
        return unquoted(text)
    if not text:
        return np.nan
    if text in ("True", "False"):
        return text == "True"
    for number in (float,) if "." in text else (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
