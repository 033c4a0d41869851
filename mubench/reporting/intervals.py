"""A 95 % interval for an Avg. Gap.

Normal theory gives none: mean |d| is folded at 0, and noise in d only makes it larger. But with signs s in
{-1, 1}^k it is the largest of the linear functions s.d / k, and Student's t serves each of those. Let D be
the true differences, d their estimates with covariance S, and e(s)^2 = s'Ss / k^2.

* Upper end: max over s of s.d / k + t e(s). It is too low only where that of the true signs is.
* Lower end: the least g for which "mean |D| = g" is not rejected by T(g) = max over s of
  (s.d / k - g) / e(s). Its distribution is simulated, the covariance estimated anew with n - 1 degrees of
  freedom, for true differences in proportion to the d that stand out from their errors. The others are
  taken for 0, where T is largest.

The upper end is the safer one near 0, so of the 5 % the lower end gets 3 and the upper end 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import nan

import numpy as np
from numpy.typing import NDArray

from mubench.reporting.statistics import FEWEST_SEEDS
from mubench.streams import numpy_stream

Floats = NDArray[np.float64]

LOWER, UPPER = 0.03, 0.02
DRAWS = 2000
# A difference of so many standard errors stands out.
_OUT = 1.5
_STEPS = 12


@dataclass(frozen=True)
class Interval:
    """An Avg. Gap in points, low <= value <= high; NaN where it cannot be known."""

    value: float
    low: float
    high: float


@lru_cache(maxsize=8)
def _draws(metrics: int, seeds: int) -> tuple[Floats, Floats]:
    """(DRAWS, k) standard normal noise of a mean, and (DRAWS, k * k) estimates of its unit covariance."""
    rng = numpy_stream(0, "gap interval", f"{metrics} metrics", f"{seeds} seeds")
    noise, spread = rng.normal(size=(DRAWS, metrics)), rng.normal(size=(DRAWS, seeds - 1, metrics))
    return noise, (spread.transpose(0, 2, 1) @ spread / (seeds - 1)).reshape(DRAWS, -1)


def gap_interval(apart: Floats, errors: Mapping[int, float] | None = None) -> Interval:
    """The interval of mean |D|, k metrics, from paired differences (n seeds, k) in points.

    errors: by column, the standard error of the mean difference where it is more than the spread over the
    seeds says, as for an attack that is fitted to all seeds at once; the column's covariances grow with
    it. With fewer than FEWEST_SEEDS there is no interval.
    """
    seeds, metrics = apart.shape
    d = apart.mean(axis=0)
    value = float(np.abs(d).mean())
    if seeds < FEWEST_SEEDS or not np.isfinite(value):
        return Interval(value, nan, nan)
    covariance = np.cov(apart.T).reshape(metrics, metrics) / seeds
    for column, error in (errors or {}).items():
        covariance = _widened(covariance, column, error)
    from scipy.special import stdtrit

    signs = np.array(list(product((1.0, -1.0), repeat=metrics))) / metrics
    values, vectors = np.linalg.eigh(covariance)
    root = signs @ (vectors * np.sqrt(np.maximum(values, 0.0)))
    e, along = np.sqrt((root**2).sum(axis=1)), signs @ d
    high = float((along + float(stdtrit(seeds - 1, 1 - UPPER)) * e).max())
    # Where signs cancel all spread there is no test, and nothing uncertain about that sum.
    some = e > 1e-9 * float(e.max())
    if not some.any():
        return Interval(value, value, value)
    out = np.where(np.abs(d) > _OUT * np.sqrt(np.diag(covariance)), d, 0.0)
    direction = out if out.any() else d
    if not direction.any():
        return Interval(value, 0.0, high)
    unit = (signs @ direction)[some] / float(np.abs(direction).mean())
    low = _lowest(value, along[some], unit, root[some], seeds)
    return Interval(value, min(low, value), max(high, value))


def _lowest(value: float, along: Floats, unit: Floats, root: Floats, seeds: int) -> float:
    """The least gap in [0, value] that is not rejected, by bisection.

    along: (s,) the signed sums of the estimates. unit: (s,) those of differences whose gap is 1 point, in the
    direction that is taken for the true one. root: (s, k) noise of the sums per standard normal.
    """
    noise, covariances = _draws(root.shape[1], seeds)
    errors = np.sqrt(covariances @ np.einsum("si,sj->ijs", root, root).reshape(-1, len(root)))
    # the sums in the first axis: a maximum over a short last one takes several times as long
    shift, slope = (np.ascontiguousarray(of.T) for of in (noise @ root.T / errors, (unit - 1.0) / errors))
    # and always the same memory: to be given new one takes longer than the sums do
    own, sums = np.sqrt((root**2).sum(axis=1)), np.empty_like(slope)

    def rejected(gap: float) -> bool:
        np.multiply(gap, slope, out=sums)
        simulated = np.add(sums, shift, out=sums).max(axis=0)
        return bool(np.mean(simulated >= ((along - gap) / own).max()) < LOWER)

    if not rejected(0.0):
        return 0.0
    low, high = 0.0, value
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if rejected(middle) else (low, middle)
    return low


def _widened(covariance: Floats, column: int, error: float) -> Floats:
    """The covariance with the column's standard error raised to `error`, its correlations kept."""
    own = float(np.sqrt(covariance[column, column]))
    out = covariance.copy()
    if own >= error:
        return out
    factor = error / own if own > 0 else 0.0
    out[column] *= factor
    out[:, column] *= factor
    out[column, column] = error**2
    return out
