"""Histograms of the log-odds of the true class: what the picture of confidences is drawn from.

They lie beside cells.csv, so that the picture can be drawn again without the records.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubench.api.outputs import SetName
from mubench.storage.files import key_of, write_atomic

FILE = "histograms.json"
# Bins of equal width in nats; what lies beyond LIMIT counts as LIMIT.
WIDTH, LIMIT = 0.25, 100.0
PARTS: tuple[SetName, ...] = ("forget", "retain", "test")


@dataclass(frozen=True)
class Histogram:
    """counts[i]: how many values lie in [WIDTH * (first + i), WIDTH * (first + i + 1))."""

    first: int
    counts: tuple[int, ...]

    @classmethod
    def of(cls, values: NDArray[np.floating[Any]]) -> Histogram:
        """The histogram of (n,) values; NaN does not count, infinite ones do at the ends."""
        kept = np.clip(values[~np.isnan(values)].astype(np.float64), -LIMIT, LIMIT - WIDTH)
        bins = np.floor(kept / WIDTH).astype(np.int64)
        if not bins.size:
            return cls(0, ())
        first = int(bins.min())
        return cls(first, tuple(np.bincount(bins - first).tolist()))

    @property
    def left(self) -> NDArray[np.float64]:
        """The bins' left edges."""
        return WIDTH * (self.first + np.arange(len(self.counts), dtype=np.float64))

    def quantiles(self, q: Iterable[float]) -> NDArray[np.float64]:
        """The middles of the bins in which these quantiles lie; the histogram must not be empty."""
        total = np.cumsum(self.counts)
        at = np.searchsorted(total, np.asarray(list(q)) * total[-1])
        return np.asarray(self.left[np.minimum(at, len(total) - 1)] + WIDTH / 2)


# Row -> set -> histogram.
Histograms = Mapping[str, Mapping[str, Histogram]]


def save(histograms: Histograms, keys: Mapping[str, Iterable[str]], folder: Path) -> Path:
    """Write histograms.json into the folder; keys: each row's cells, which say what the counts are of."""
    rows = {
        row: {"cells": key_of(sorted(keys[row]))} | {p: [h.first, list(h.counts)] for p, h in parts.items()}
        for row, parts in histograms.items()
    }
    lines = [
        f"  {json.dumps(row)}: {json.dumps(parts, separators=(',', ':'))}" for row, parts in rows.items()
    ]
    text = f'{{\n "width": {WIDTH},\n "rows": {{\n' + ",\n".join(lines) + "\n }\n}\n"
    write_atomic(folder / FILE, text.encode())
    return folder / FILE


def load(keys: Mapping[str, Iterable[str]], folder: Path) -> Histograms:
    """By row, the histograms of histograms.json that are of these cells; none if the file is not whole."""
    try:
        saved = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if saved["width"] != WIDTH:
            return {}
        return {
            row: {p: Histogram(int(parts[p][0]), tuple(map(int, parts[p][1]))) for p in PARTS}
            for row, parts in saved["rows"].items()
            if row in keys and parts["cells"] == key_of(sorted(keys[row]))
        }
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
