"""A method against Retrain over paired seeds: how far apart, how sure, and is it equivalent?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Paired:
    """Signed differences (method - reference) in points, over the seeds.

    mean; low, high: its 95 % t interval. p: two-sided paired permutation test of "no difference";
    with n seeds it cannot be below 2 / 2^n (0.0625 at 5). p_equivalent: two one-sided t tests of "at
    least `margin` apart"; small means equivalent. All but the mean are NaN with a single seed.
    """

    mean: float
    low: float
    high: float
    p: float
    p_equivalent: float


def paired_differences(values: Sequence[float], reference: Sequence[float], margin: float = 1.0) -> Paired:
    """Compare a metric's values with the reference's of the same seeds, both (n,) in percent.

    margin: the difference in points, declared beforehand, that would still be called equal.
    Schuirmann (1987) for the two one-sided tests. Raises ValueError if the lengths differ or are 0,
    or the margin is not positive.
    """
    x, y = np.asarray(values, np.float64), np.asarray(reference, np.float64)
    if x.shape != y.shape or x.ndim != 1 or not len(x):
        raise ValueError(f"pairs need the same seeds twice, not shapes {x.shape} and {y.shape}")
    if not margin > 0:
        raise ValueError(f"the margin must be positive, not {margin}")
    apart = x - y
    mean = float(apart.mean())
    if len(apart) == 1:
        return Paired(mean, *[float("nan")] * 4)
    from scipy.stats import t

    error, degrees = float(apart.std(ddof=1)) / len(apart) ** 0.5, len(apart) - 1
    half = error * float(t.ppf(0.975, degrees))
    if error > 0:
        p_equivalent = float(t.sf((margin - abs(mean)) / error, degrees))
    else:
        p_equivalent = 0.0 if abs(mean) < margin else 1.0
    return Paired(mean, mean - half, mean + half, _permutation_p(x, y), p_equivalent)


def _permutation_p(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Two-sided p of the mean difference when each pair may be swapped; exact up to 13 seeds."""
    from scipy.stats import permutation_test

    found = permutation_test(
        (x, y),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9999,
        # Beyond 13 seeds pairings are sampled: the same ones every time.
        random_state=np.random.default_rng(0),
    )
    return float(found.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given, for tests made together (Holm, 1979)."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(raised, 1.0)
    return [float(value) for value in adjusted]
