"""A method against Retrain over paired seeds: how far apart, how sure, and is it equivalent?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from mubench.streams import numpy_stream

# What is called different or equivalent.
LEVEL = 0.05
# With fewer seeds, a spread is itself too uncertain to say anything.
FEWEST_SEEDS = 3
# Up to this many seeds the permutation test counts all signs; beyond, it draws SAMPLED of them.
MOST_EXACT = 13
SAMPLED = 9999


@dataclass(frozen=True)
class Paired:
    """Signed differences (method - reference) in points, over the seeds.

    seeds: how many. mean; low, high: its 95 % t interval. p: two-sided paired permutation test of "no
    difference"; with n seeds it cannot be below 2 / 2^n (0.0625 at 5). p_equivalent: two one-sided t tests
    of "at least `margin` apart"; small means equivalent. With a single seed only the mean is not NaN.
    """

    seeds: int
    mean: float
    low: float
    high: float
    p: float
    p_equivalent: float


def paired_differences(
    values: Sequence[float], reference: Sequence[float], margin: float = 1.0, fit: float = 0.0
) -> Paired:
    """Compare a metric's values with the reference's of the same seeds, both (n,) in percent.

    margin: the difference in points, declared beforehand, that would still be called equal. fit: the variance
    of the mean difference, in points squared, that the spread of the seeds does not show as they share it;
    p then is not below that of a t test. Schuirmann (1987) for the two one-sided tests. Raises ValueError if
    the lengths differ or are 0, or the margin is not positive.
    """
    return paired_rows([(values, reference, fit)], margin)[0]


def paired_rows(
    rows: Sequence[tuple[Sequence[float], Sequence[float], float]], margin: float = 1.0
) -> list[Paired]:
    """As `paired_differences`, of many rows at once: (values, reference, fit) of each."""
    if not margin > 0:
        raise ValueError(f"the margin must be positive, not {margin}")
    apart = [_apart(values, reference) for values, reference, _ in rows]
    tested = zip(apart, _permutation_p(apart), rows, strict=True)
    return [_paired(of_row, p, margin, fit) for of_row, p, (_, _, fit) in tested]


def _apart(values: Sequence[float], reference: Sequence[float]) -> NDArray[np.float64]:
    x, y = np.asarray(values, np.float64), np.asarray(reference, np.float64)
    if x.shape != y.shape or x.ndim != 1 or not len(x):
        raise ValueError(f"pairs need the same seeds twice, not shapes {x.shape} and {y.shape}")
    return x - y


def _paired(apart: NDArray[np.float64], p: float, margin: float, fit: float) -> Paired:
    """p: that of the permutation test."""
    mean = float(apart.mean())
    if len(apart) == 1:
        return Paired(1, mean, *[float("nan")] * 4)
    from scipy.special import stdtr, stdtrit  # Student's t, without the second that scipy.stats takes

    error, degrees = float(apart.var(ddof=1) / len(apart) + fit) ** 0.5, len(apart) - 1
    half = error * float(stdtrit(degrees, 0.975))
    if error > 0:
        p_equivalent = float(stdtr(degrees, (abs(mean) - margin) / error))
    else:
        p_equivalent = 0.0 if abs(mean) < margin else 1.0
    if fit > 0:
        p = max(p, 2 * float(stdtr(degrees, -abs(mean) / error)))
    return Paired(len(apart), mean, mean - half, mean + half, p, p_equivalent)


@lru_cache(maxsize=4)
def _signs(seeds: int) -> NDArray[np.float64]:
    """All 2^seeds ways to swap pairs, as signs, the unswapped one first; or it and SAMPLED drawn ones."""
    if seeds <= MOST_EXACT:
        return np.array(list(product((1.0, -1.0), repeat=seeds)))
    drawn = numpy_stream(0, "permutation test").choice((1.0, -1.0), (SAMPLED, seeds))
    return np.concatenate([np.ones((1, seeds)), drawn])


def _permutation_p(rows: Sequence[NDArray[np.float64]]) -> list[float]:
    """Of each row's (n,) differences, two-sided p of their mean when each pair may be swapped.

    Rows with equally many seeds are tested in one product of matrices: a product for each row would read
    all signs from memory again.
    """
    found = [float("nan")] * len(rows)
    for seeds in {len(apart) for apart in rows}:
        at = [i for i, apart in enumerate(rows) if len(apart) == seeds]
        together = np.array([rows[i] for i in at])
        # Sums that are equal on paper differ by rounding.
        rounding = 1e-12 * np.abs(together).sum(axis=1)
        reach = np.abs(together @ _signs(seeds).T)
        p = (reach >= (np.abs(together.sum(axis=1)) - rounding)[:, None]).mean(axis=1)
        for i, one in zip(at, p, strict=True):
            found[i] = float(one)
    return found


def smallest_p(seeds: int) -> float:
    """The smallest p that the permutation test can give."""
    return max(2.0 ** (1 - seeds), 1 / (SAMPLED + 1) if seeds > MOST_EXACT else 0.0)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given, for tests made together (Holm, 1979)."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(raised, 1.0)
    return [float(value) for value in adjusted]
