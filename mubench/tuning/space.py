"""The search space that a method declares, for Optuna."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from mubench.api.method import MethodSpec
from mubench.errors import UsageError

# Digits of a value on a logarithmic scale: as many as a person writes into a suite.
DIGITS = 3


def space_of(spec: MethodSpec) -> dict[str, BaseDistribution]:
    """Parameter -> its distribution, by name; UsageError for a range that is none."""
    return {name: _distribution(spec, name) for name in sorted(spec.search)}


def _distribution(spec: MethodSpec, name: str) -> BaseDistribution:
    match spec.search[name]:
        case {"log": [low, high]}:
            return FloatDistribution(low, high, log=True)
        case {"choices": [*values]} if values:
            return CategoricalDistribution(values)
    raise UsageError(
        f"method {spec.name!r}: the search space of {name!r} is neither log_uniform(low, high) nor "
        "choice(...)"
    )


def rounded(distribution: BaseDistribution, value: Any) -> Any:
    """A number of a range to `DIGITS` digits, within the range; a choice as it is."""
    if isinstance(distribution, FloatDistribution):
        return min(max(float(f"{value:.{DIGITS}g}"), distribution.low), distribution.high)
    return value


def at(distribution: BaseDistribution, u: float) -> Any:
    """The value at `u` of the way, from 0 to 1, through a distribution."""
    if isinstance(distribution, FloatDistribution):
        low, high = math.log(distribution.low), math.log(distribution.high)
        return rounded(distribution, math.exp(low + u * (high - low)))
    assert isinstance(distribution, CategoricalDistribution)
    return distribution.choices[min(int(u * len(distribution.choices)), len(distribution.choices) - 1)]


def fits(space: Mapping[str, BaseDistribution], parameters: Mapping[str, Any]) -> bool:
    """Whether these are parameters of this space, and nothing else."""
    return space.keys() == parameters.keys() and all(_lies(space[n], v) for n, v in parameters.items())


def _lies(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, FloatDistribution):
        return type(value) is float and distribution.low <= value <= distribution.high
    assert isinstance(distribution, CategoricalDistribution)
    return any(type(value) is type(one) and value == one for one in distribution.choices)
