"""Is the noise floor's band true? Real Retrains against the band that other Retrains give."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mubench.reporting.gap import floor_quantile
from mubench.streams import numpy_stream

# From so many Retrains on, the share of trials says something.
FEWEST_RETRAINS = 12
# What a true 95 % band is exceeded in, in percent of the trials.
WANTED = (3.0, 7.0)
_MOST_SUBSETS = 400


@dataclass(frozen=True)
class FloorCheck:
    """In how many of the trials an independent Retrain lay above the 95 % band.

    retrains: how many there are in all; drawn: how many of them give a band. Trials share Retrains, so the
    share strays far from 5 % by chance: where the band is true by construction (normal Retrains, 10 seeds,
    40 simulated checks of 13 Retrains, bands of 3), nine in ten shares lay between 0.6 and 14.2 %.
    """

    retrains: int
    drawn: int
    trials: int
    above: int

    @property
    def percent(self) -> float:
        """The share of trials, in percent."""
        return 100.0 * self.above / self.trials

    @property
    def holds(self) -> bool:
        """Whether the share is in `WANTED`."""
        return WANTED[0] <= self.percent <= WANTED[1]


def check_floor(
    retrains: Sequence[Sequence[Mapping[str, float]]],
    drawn: int,
    metrics: Sequence[str],
    pooled: Collection[str] = (),
) -> FloorCheck:
    """Try the band of `drawn` Retrains on each of the others.

    retrains: per seed its N Retrains' metrics in percent, each Retrain at the same place. All subsets of
    `drawn` are tried, or 400 of them, always the same. metrics, pooled: see `floor_quantile`.

    Raises ValueError unless 2 <= drawn < N.
    """
    count = len(retrains[0])
    if not 2 <= drawn < count:
        raise ValueError(f"a band of {drawn} Retrains cannot be tried on {count} of them")
    values = np.array([[[one[name] for name in metrics] for one in of_seed] for of_seed in retrains])
    means = values.mean(axis=0)
    subsets = list(combinations(range(count), drawn))
    if len(subsets) > _MOST_SUBSETS:
        chosen = numpy_stream(0, "floor check").choice(len(subsets), _MOST_SUBSETS, replace=False)
        subsets = [subsets[i] for i in sorted(chosen)]
    above = []
    for subset in subsets:
        band = floor_quantile([[of_seed[i] for i in subset] for of_seed in retrains], metrics, pooled)
        aim = means[list(subset)].mean(axis=0)
        for other in sorted(set(range(count)) - set(subset)):
            above.append(float(np.abs(means[other] - aim).mean()) > band)
    return FloorCheck(count, drawn, len(above), sum(above))
