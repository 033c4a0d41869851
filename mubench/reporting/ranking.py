"""Which of two rows ends closer to Retrain, and how methods rank when some cannot be told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mubench.reporting.statistics import FEWEST_SEEDS, LEVEL, holm

# In points: what differs by less differs by rounding.
_ROUNDING = 1e-9

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class GapDifference:
    """The first row's Avg. Gap minus the second's, in points: negative where the first is closer to Retrain.

    seeds: how many both share. low, high: the 95 % interval. p: two-sided; below 0.05 exactly where the
    interval leaves out 0. With a single seed all three are NaN.
    """

    seeds: int
    difference: float
    low: float
    high: float
    p: float

    @property
    def apart(self) -> bool:
        """Whether the two are told apart, as one pair alone."""
        return self.seeds >= FEWEST_SEEDS and self.p < LEVEL


def compare_gaps(first: Floats, second: Floats) -> GapDifference:
    """The paired difference of two Avg. Gaps.

    first, second: each row's signed differences from Retrain in points, (seeds, metrics), of the same seeds
    in the same order. Where every class is forgotten in turn, the metrics of all classes stand side by side.

    A gap is g = mean over m of |d_m|, d_m the mean over the seeds; with the signs of d_m it is linear:
    g = mean over the seeds of mean_m sign(d_m) d_sm. Of both rows together this makes one number a seed,
    whose mean is the difference of the gaps; its t interval (n - 1 degrees of freedom) is the delta method's
    and the jackknife's. It is exact while no d_m is near 0. Near 0, |d_m| is too large by up to 0.8 standard
    errors, and a row that errs a little in every metric would look worse than it is. So each end of the
    interval takes the side of doubt: from the row that it would call farther only those metrics count whose
    d_m differs from 0 (t test, 5 %), and those of the other count in full.

    Raises ValueError unless both have the same shape and at least one seed.
    """
    if first.shape != second.shape or first.ndim != 2 or not first.size:
        raise ValueError(f"pairs need the same seeds and metrics, not shapes {first.shape}, {second.shape}")
    seeds = len(first)
    whole = [_towards(rows, False) for rows in (first, second)]
    difference = float(whole[0].mean() - whole[1].mean())
    if seeds == 1:
        return GapDifference(1, difference, *[float("nan")] * 3)
    clear = [_towards(rows, True) for rows in (first, second)]
    low, p_above = _lower_end(clear[0] - whole[1])
    high, p_below = _lower_end(clear[1] - whole[0])
    return GapDifference(seeds, difference, low, -high, min(1.0, 2 * min(p_above, p_below)))


def _towards(rows: Floats, clear: bool) -> Floats:
    """A number a seed, whose mean is the Avg. Gap; clear: the part of it that is not within its noise."""
    mean = rows.mean(axis=0)
    signs = np.where(np.abs(mean) > _ROUNDING, np.sign(mean), 0.0)
    if clear:
        error = rows.std(axis=0, ddof=1) / len(rows) ** 0.5
        signs[np.abs(mean) <= _quantile(len(rows) - 1) * error] = 0.0
    return np.asarray((rows * signs).mean(axis=1))


def _lower_end(values: Floats) -> tuple[float, float]:
    """The lower end of the t interval of the mean of (n,) numbers, and the one-sided p of "not above 0"."""
    from scipy.special import stdtr  # Student's t, without the second that scipy.stats takes

    mean, error = float(values.mean()), float(values.std(ddof=1)) / len(values) ** 0.5
    end = mean - _quantile(len(values) - 1) * error
    if error > _ROUNDING:
        return end, float(stdtr(len(values) - 1, -mean / error))
    return end, 0.0 if mean > _ROUNDING else 1.0


def _quantile(degrees: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 1 - LEVEL / 2))


def rank(rows: Mapping[str, pd.DataFrame]) -> dict[str, tuple[int, int]]:
    """The best and the worst rank that each row can have.

    rows: the signed differences of each, a line per seed. Pairs are tested over the seeds that both share, at
    5 % after Holm over all pairs. A row ranks from 1 + how many are closer to Retrain to the number of rows -
    how many are farther. With fewer than three seeds nothing is closer or farther than anything.
    """
    pairs = list(combinations(rows, 2))
    found = [compare_frames(rows[a], rows[b]) for a, b in pairs]
    adjusted = holm([one.p if one is not None and one.seeds >= FEWEST_SEEDS else 1.0 for one in found])
    best, worst = dict.fromkeys(rows, 1), dict.fromkeys(rows, len(rows))
    for (a, b), one, p in zip(pairs, found, adjusted, strict=True):
        if one is not None and p < LEVEL:
            closer, farther = (a, b) if one.difference < 0 else (b, a)
            best[farther] += 1
            worst[closer] -= 1
    return {row: (best[row], worst[row]) for row in rows}


def compare_frames(first: pd.DataFrame, second: pd.DataFrame) -> GapDifference | None:
    """As `compare_gaps`, of frames with a line per seed, over the seeds in both; None if there are none."""
    shared = first.index.intersection(second.index)
    if shared.empty:
        return None
    return compare_gaps(first.loc[shared].to_numpy(float), second.loc[shared].to_numpy(float))


def rank_texts(rows: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Row -> "2", or "1-3" where it may have any of these ranks; nothing where fewer than two compete."""
    if len(rows) < 2:
        return {}
    return {row: f"{low}" if low == high else f"{low}-{high}" for row, (low, high) in rank(rows).items()}
