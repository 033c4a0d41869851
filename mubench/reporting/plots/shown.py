"""What the pictures of a run show."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mubench.reporting.summary import floor_bands, per_seed_gaps, rows, summarise

Histograms = Mapping[str, Mapping[str, NDArray[np.floating]]]


# The modules that decide what a picture looks like, given its numbers.
_SOURCES = ("draw", "shown", "bars", "scatter", "confidence", "labels", "style")


@dataclass(frozen=True)
class Shown:
    """What the pictures show: ok rows only.

    rows: the summary's numbers with `role`, by method in table order. seeds: method, seed,
    avg_gap, avg_gap_svc. bands: as `floor_bands`. scores: as given to `draw`.
    """

    rows: pd.DataFrame
    seeds: pd.DataFrame
    bands: dict[str, float]
    scores: Histograms

    @classmethod
    def of(cls, cells: pd.DataFrame, histograms: Histograms) -> Shown:
        """The part of the cells and scores that has numbers."""
        numbers = summarise(cells).set_index("method").join(rows(cells)["role"])
        numbers = numbers[numbers["status"] == "ok"]
        seeds = per_seed_gaps(cells)[["method", "seed", "avg_gap", "avg_gap_svc"]]
        seeds = seeds[seeds["method"].isin(numbers.index)]
        scores = {str(name): histograms[name] for name in numbers.index if name in histograms}
        return cls(numbers, seeds, floor_bands(cells), scores)

    def digest(self) -> str:
        """SHA-256 of all that decides the pictures: numbers, scores, drawing code, matplotlib."""
        sha = hashlib.sha256(version("matplotlib").encode())
        for module in _SOURCES:
            sha.update(Path(__file__).with_name(f"{module}.py").read_bytes())
        for text in (self.rows.to_csv(), self.seeds.to_csv(), json.dumps(self.bands)):
            sha.update(text.encode())
        for name, sets in self.scores.items():
            for part, values in sets.items():
                sha.update(f"{name}/{part}/{values.dtype}/{len(values)}".encode())
                sha.update(np.ascontiguousarray(values).tobytes())
        return sha.hexdigest()
