"""Does a suite discriminate? The headline gaps of its methods against their errors.

Replicates are runs of one suite that differ in rounding alone: precision, number of threads. What they
disagree about, another machine will disagree about too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mubench.reporting.columns import AvgGap
from mubench.reporting.summary import Summary
from mubench.reporting.target import signed

Floats = NDArray[np.float64]
# What a suite must reach to discriminate.
SIGNAL, RANKS = 5.0, 0.9
# Any two methods have a rank correlation of 1 or -1: it takes one more to say something.
FEWEST_METHODS = 3
FEWEST_SEEDS = 2
# The Original's gap over the floor's band that shows that something was memorised.
MEMORISED = 3.0


@dataclass(frozen=True)
class Replicate:
    """The headline Avg. Gaps of one run, in points.

    gaps, errors: of each method its gap and the gap's standard error, see `jackknife`. baseline: the
    Original's gap; band: the noise floor's, if there is one.
    """

    name: str
    gaps: dict[str, float]
    errors: dict[str, float]
    baseline: float | None
    band: float | None

    @classmethod
    def of(cls, name: str, summary: Summary, gap: AvgGap) -> Replicate:
        """The methods that compete in a summary."""
        rows, numbers = summary.rows, summary.numbers[gap.name]
        methods = [str(m) for m in rows.index[rows["competes"]]]
        apart = signed(summary.cells, gap.metrics, summary.targets)
        errors = {m: jackknife(apart[m].to_numpy(np.float64)) for m in methods}
        (original,) = numbers[rows["role"] == "baseline"].to_list() or [math.nan]
        return cls(
            name,
            {m: float(numbers[m]) for m in methods},
            errors,
            None if math.isnan(original) else float(original),
            summary.bands.get(gap.name),
        )


def jackknife(apart: Floats) -> float:
    """The standard error, in points, of the Avg. Gap of a method from its seeds.

    apart: (seeds, metrics), the method's signed differences from what it is compared with, in points. The gap
    of the means is taken without each of the n seeds in turn; the error is sqrt((n - 1) / n * sum of squares
    about their mean) (Tukey, 1958). What a method shares with Retrain, the forget set, cancels in the pair.
    """
    seeds = len(apart)
    gaps = np.abs((apart.sum(axis=0) - apart) / (seeds - 1)).mean(axis=1)
    return float(np.sqrt((seeds - 1) * np.mean((gaps - gaps.mean()) ** 2)))


def spearman(one: Sequence[float], two: Sequence[float]) -> float:
    """Rank correlation from -1 to 1, ties sharing their mean rank; 0 if one does not vary at all."""
    found = float(pd.Series(one).rank().corr(pd.Series(two).rank()))
    return 0.0 if math.isnan(found) else found


@dataclass(frozen=True)
class Diagnosis:
    """What replicates say about a suite; all over the methods that compete in each of them.

    spread: the standard deviation (ddof = 1) between methods, the mean of the replicates; own_spread: that
    of the first one, the suite as it is. movement: the mean of |difference| over methods and pairs of
    replicates. error: the root mean square of the methods' standard errors in the first. Points all.
    correlations: of each pair of replicates.
    """

    seeds: int
    methods: tuple[str, ...]
    replicates: tuple[Replicate, ...]
    spread: float
    own_spread: float
    movement: float
    error: float
    correlations: dict[tuple[str, str], float]

    @property
    def over_rounding(self) -> float:
        """Signal to noise where the noise is what the replicates differ by."""
        return _ratio(self.spread, self.movement)

    @property
    def over_seeds(self) -> float:
        """Signal to noise where the noise is the standard error over the seeds."""
        return _ratio(self.own_spread, self.error)

    @property
    def discriminates(self) -> bool:
        """Whether both are at least `SIGNAL`, and every rank correlation at least `RANKS`."""
        signal = min(self.over_rounding, self.over_seeds)
        return signal >= SIGNAL and min(self.correlations.values()) >= RANKS

    @property
    def verdict(self) -> str:
        """One sentence: discriminating or not, and what to change."""
        found = (
            f"signal to noise {self.over_rounding:.1f} over rounding and {self.over_seeds:.1f} over seeds "
            f"({SIGNAL:g} wanted), rank correlation {min(self.correlations.values()):.2f} at least "
            f"({RANKS:g} wanted)"
        )
        if self.discriminates:
            return f"Discriminating: {found}."
        return f"Not discriminating: {found}; change: {self._advice()}."

    def _advice(self) -> str:
        signal = min(self.over_rounding, self.over_seeds)
        # a standard error falls with the square root of the number of seeds
        wanted = math.ceil(self.seeds * (SIGNAL / signal) ** 2) if 0 < signal < SIGNAL else self.seeds
        advice = [f"about {wanted} seeds" if wanted > self.seeds else f"more than {self.seeds} seeds"]
        first = self.replicates[0]
        memorised = (
            first.band is not None and first.baseline is not None and first.baseline >= MEMORISED * first.band
        )
        if not memorised or wanted > 2 * self.seeds:
            advice += ["fewer training images", "a larger network"]
        return ", or ".join(advice)


def _ratio(signal: float, noise: float) -> float:
    return signal / noise if noise else math.inf


def diagnose(replicates: Sequence[Replicate], seeds: int) -> Diagnosis:
    """The diagnosis of replicates of one suite, which itself comes first.

    Raises ValueError with fewer than two replicates, `FEWEST_SEEDS` seeds or `FEWEST_METHODS` methods
    that compete in each of them.
    """
    first, *others = replicates
    methods = [m for m in first.gaps if all(m in other.gaps for other in others)]
    for what, count, fewest in (
        ("replicates", len(replicates), 2),
        ("seeds", seeds, FEWEST_SEEDS),
        ("methods that compete", len(methods), FEWEST_METHODS),
    ):
        if count < fewest:
            raise ValueError(f"signal to noise needs at least {fewest} {what}, not {count}")
    gaps = np.array([[one.gaps[m] for m in methods] for one in replicates])
    spreads = gaps.std(axis=1, ddof=1)
    pairs = list(combinations(range(len(replicates)), 2))
    errors = np.array([first.errors[m] for m in methods])
    return Diagnosis(
        seeds=seeds,
        methods=tuple(methods),
        replicates=tuple(replicates),
        spread=float(spreads.mean()),
        own_spread=float(spreads[0]),
        movement=float(np.mean([np.abs(gaps[a] - gaps[b]) for a, b in pairs])),
        error=float(np.sqrt(np.mean(errors**2))),
        correlations={
            (replicates[a].name, replicates[b].name): spearman(gaps[a].tolist(), gaps[b].tolist())
            for a, b in pairs
        },
    )
