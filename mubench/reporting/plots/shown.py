"""What the pictures of a run show."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mubench.planning.rows import Status
from mubench.reporting.columns import Columns
from mubench.reporting.histograms import Histograms
from mubench.reporting.summary import Summary

# How wide a picture is: as it is read on a screen, or set in a paper.
Width = Literal["screen", "page", "column"]
# The modules that decide what a picture looks like, given its numbers.
_SOURCES = ("draw", "shown", "bars", "scatter", "confidence", "labels", "style")


@dataclass(frozen=True)
class Shown:
    """What the pictures show: ok rows only.

    rows: the summary's numbers with `role`, by method in table order. seeds: method, seed and the
    Avg. Gaps. bands: the noise floor's, by Avg. Gap. scores: the histograms of these rows.
    """

    columns: Columns
    rows: pd.DataFrame
    seeds: pd.DataFrame
    bands: Mapping[str, float]
    scores: Histograms

    @classmethod
    def of(cls, summary: Summary, histograms: Histograms) -> Shown:
        """The part of the summary and the histograms that has numbers."""
        numbers = summary.table.join(summary.rows["role"])
        numbers = numbers[numbers["status"] == Status.OK]
        gaps = [gap.name for gap in summary.columns.gaps]
        seeds = summary.cells[["method", "seed", *gaps]]
        seeds = seeds[seeds["method"].isin(numbers.index)]
        scores = {str(name): histograms[name] for name in numbers.index if name in histograms}
        return cls(summary.columns, numbers, seeds, summary.bands, scores)

    def digest(self) -> str:
        """SHA-256 of all that decides the pictures: numbers, histograms, drawing code, matplotlib."""
        sha = hashlib.sha256(version("matplotlib").encode())
        for module in _SOURCES:
            sha.update(Path(__file__).with_name(f"{module}.py").read_bytes())
        scores = {
            row: {p: [h.first, h.counts] for p, h in parts.items()} for row, parts in self.scores.items()
        }
        for text in (
            self.rows.to_csv(),
            self.seeds.to_csv(),
            json.dumps([self.columns.titles(), dict(self.bands), scores]),
        ):
            sha.update(text.encode())
        return sha.hexdigest()


def within(values: NDArray[np.float64], centre: float) -> NDArray[np.bool_]:
    """Which values can share a linear axis: no further from the centre than six times what is usual.

    One method gone astray must not press all the others into a corner; it is shown at the edge
    with its value in words. Up to 5 points nothing is astray.
    """
    distance = np.abs(values - centre)
    return distance <= max(6 * float(np.median(distance)), 5.0)
