"""Where the next trial lies: first spread over the whole space, then where Optuna's TPE expects good ones.

A trial depends on its number and the trials before it alone, not on which process asks: a repeated search
makes the same trials, more trials go on from them, and no two workers on one study draw the same point.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial

from mubench.streams import stream_seed
from mubench.tuning.space import at, rounded

# How many trials are spread over the whole space before TPE has a say.
SPREAD = 8


class Search(BaseSampler):
    """A scrambled Halton sequence, then multivariate TPE: Bergstra et al. (2011), Falkner et al. (2018).

    Other trials that are running count as bad ones ("constant liar"), so that a batch does not draw one
    point again and again.
    """

    def __init__(self, method: str, space: Mapping[str, BaseDistribution], seed: int = 0) -> None:
        """method: names the random stream. space: parameter -> its distribution."""
        self._method, self._space, self._seed = method, dict(space), seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The whole space but for parameters of one value."""
        return {name: one for name, one in self._space.items() if not one.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The parameters of the trial, of this number."""
        if not search_space:
            return {}
        if trial.number < SPREAD:
            return self._spread(trial.number, search_space)
        seed = stream_seed(self._seed, "tune", self._method, str(trial.number)) % 2**32
        tpe = TPESampler(seed=seed, multivariate=True, constant_liar=True, n_startup_trials=1)
        drawn = tpe.sample_relative(study, trial, search_space)
        if not drawn:  # nothing has finished yet: other workers are at the first trials
            return self._spread(trial.number, search_space)
        return {name: rounded(search_space[name], value) for name, value in drawn.items()}

    def _spread(self, number: int, space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
        from scipy.stats import qmc

        points = qmc.Halton(len(space), rng=stream_seed(self._seed, "tune", self._method))
        points.fast_forward(number)
        return {name: at(space[name], float(u)) for name, u in zip(space, points.random(1)[0], strict=True)}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The one value of a parameter that has no other."""
        return at(param_distribution, 0.0)
