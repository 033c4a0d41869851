"""Avg. Gap, the field's headline number, and the band in which it is only noise."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from mubench.streams import numpy_stream

# Beyond this many seeds the assignments are sampled: as many as 2 ** MOST_EXACT of them.
MOST_EXACT = 12
# So many Retrains of a seed bound the noise floor; fewer do not.
ENOUGH = 3
_DRAWS = 20_000


# The metrics of the published Avg. Gap.
FOUR = ("ua", "ra", "ta", "mia")


def avg_gap(
    means: Mapping[str, float], reference: Mapping[str, float], metrics: Sequence[str] = FOUR
) -> float:
    """Mean over the metrics of |method - Retrain|, in points.

    means, reference: unrounded means over the seeds, in percent, by metric name. Raises KeyError if
    one of the metrics is missing.
    """
    return sum(abs(means[name] - reference[name]) for name in metrics) / float(len(metrics))


def floor_band(
    first: Sequence[Mapping[str, float]],
    second: Sequence[Mapping[str, float]],
    metrics: Sequence[str] = FOUR,
    quantile: float = 0.95,
) -> float:
    """The Avg. Gap, in points, that one Retrain seldom exceeds when measured against another.

    first, second: two independent Retrains' metrics in percent, one mapping per seed, in the same
    order. Which of a seed's two is called the first is arbitrary; the band is the quantile of the
    Avg. Gap (of seed means) over all 2^S ways to name them, or over 4096 of them, always the same
    ones, beyond 12 seeds. The quantile is one of the gaps: the smallest that is not exceeded by more
    than 1 - quantile of them.

    Raises ValueError if there is no seed or the two have different numbers of them.
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"a band needs the same seeds twice, not {len(first)} and {len(second)}")
    apart = np.array([[a[n] - b[n] for n in metrics] for a, b in zip(first, second, strict=True)])
    # To swap a seed's two Retrains is to turn the sign of its differences.
    if len(first) <= MOST_EXACT:
        signs = np.array(list(product((1.0, -1.0), repeat=len(first))))
    else:
        signs = np.random.default_rng(0).choice((1.0, -1.0), (2**MOST_EXACT, len(first)))
    gaps = np.abs((signs[:, :, None] * apart).mean(axis=1)).mean(axis=1)
    return float(np.quantile(gaps, quantile, method="inverted_cdf"))


def floor_quantile(
    retrains: Sequence[Sequence[Mapping[str, float]]],
    metrics: Sequence[str] = FOUR,
    pooled: Collection[str] = (),
    quantile: float = 0.95,
) -> float:
    """The Avg. Gap, in points, that one more Retrain stays below with this chance.

    retrains: per seed its R independent Retrains' metrics in percent, each Retrain at the same place. The
    further Retrain, one run for each of the n seeds, is measured against the mean of the R. pooled: the
    metrics that are computed for all seeds of a Retrain at once, which makes its seeds err together.

    The difference of the means follows a multivariate t with scale V (1 + 1 / R). V is W / n, with W the
    covariance within the seeds, pooled over them (n (R - 1) degrees of freedom); of pooled metrics it is
    the covariance of the Retrains' means over the seeds (R - 1). The quantile is that of the t's mean
    absolute entry, over draws that are always the same. Its degrees of freedom are those of the *sum* of
    the standard deviations, Satterthwaite's: errors of metrics that vary independently cancel in part, so
    that its scale is known better than any one of them. Up to six degrees of freedom within the seeds,
    the quantile of metrics that vary alike is too large.

    Raises ValueError unless each seed has the same number of Retrains, at least two.
    """
    counts = sorted({len(of_seed) for of_seed in retrains})
    if len(counts) != 1 or counts[0] < 2:
        raise ValueError(f"a floor needs equally many Retrains at every seed, at least two, not {counts}")
    values = np.array([[[one[name] for name in metrics] for one in of_seed] for of_seed in retrains])
    seeds, count, width = values.shape
    within = values - values.mean(axis=1, keepdims=True)
    free = np.full((width, width), float(seeds * (count - 1)))
    covariance = np.einsum("sri,srj->ij", within, within) / free / seeds
    together = np.array([name in pooled for name in metrics])
    either = together[:, None] | together
    means = within.mean(axis=0)
    free[either] = count - 1
    covariance[either] = (means.T @ means)[either] / (count - 1)
    spread = np.sqrt(np.diag(covariance))
    if not spread.any():
        return 0.0
    squares = covariance**2 / np.maximum(np.outer(spread, spread), np.finfo(float).tiny)
    degrees = spread.sum() ** 2 / (squares / free).sum()
    sizes, axes = np.linalg.eigh(covariance * (1 + 1 / count))
    root = (axes * np.sqrt(np.maximum(sizes, 0.0))) @ axes.T
    normal, then = _draws(width)
    rng = deepcopy(then)
    gaps = np.abs(normal @ root).mean(axis=1)
    return float(np.quantile(gaps * np.sqrt(degrees / rng.chisquare(degrees, _DRAWS)), quantile))


@lru_cache
def _draws(width: int) -> tuple[NDArray[np.float64], np.random.Generator]:
    """(draws, width) standard normal numbers, always the same, and the generator as it then stands."""
    rng = numpy_stream(0, "floor")
    return rng.normal(size=(_DRAWS, width)), rng
