"""Avg. Gap, the field's headline number, and the band in which it is only noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

# Beyond this many seeds the assignments are sampled: as many as 2 ** MOST_EXACT of them.
MOST_EXACT = 12


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
