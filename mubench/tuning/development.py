"""Trials as rows of a suite on development forget sets, which no table shows.

A trial is an ordinary row of an ordinary run, so it is cached, resumed and timed like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mubench.api.method import MethodSpec, Role
from mubench.discovery.find import Catalogue
from mubench.errors import UsageError
from mubench.planning.suite import EVERY, ClassForget, RandomForget, Suite
from mubench.planning.variant import Variant

# Development forget sets have seeds of their own, far from those of any suite.
FIRST_SEED = 1000


@dataclass(frozen=True)
class Trial:
    """One setting of one method: its row, and the parameters drawn beside those that the suite sets."""

    row: str
    method: str
    parameters: dict[str, Any]


def tunable(
    suite: Suite, catalogue: Catalogue, names: Sequence[str], plugins: Sequence[MethodSpec]
) -> tuple[list[MethodSpec], list[str]]:
    """The methods to tune, and the names of those that declare no search space for this kind of forgetting.

    names: those that the user named, or none: then the suite's. plugins: further ones. UsageError for one of
    `names` that cannot be tuned, if nothing can be, and for a suite that forgets every class.
    """
    if isinstance(suite.forget, ClassForget) and suite.forget.target == EVERY:
        raise UsageError("tuning takes one class at a time: add --set forget.class=0")
    scenario = suite.forget.scenario
    lack = f"no search space for {scenario} forgetting"
    how = 'write search={"lr": log_uniform(1e-4, 1e-1)} in @method'
    asked = [catalogue.methods.find(name, "--methods") for name in names or suite.methods]
    specs = {spec.name: spec for spec in [*asked, *plugins] if spec.role is Role.METHOD or names}
    able = [spec for spec in specs.values() if spec.search and scenario in spec.scenarios]
    rest = [name for name in specs if name not in {spec.name for spec in able}]
    if others := [spec for spec in asked if names and spec.role is not Role.METHOD]:
        raise UsageError(f"method {others[0].name!r} is the {others[0].role}: what others are compared with")
    if named := [name for name in names if name in rest]:
        raise UsageError(f"method {named[0]!r} declares {lack}; {how}")
    if not able:
        raise UsageError(f"the methods declare {lack}: name others by --methods, or {how}")
    return able, rest


def unpinned(specs: Sequence[MethodSpec], pinned: Mapping[str, Mapping[str, Any]]) -> list[MethodSpec]:
    """The methods, each without what `pinned`, by method, gives a value: that is not searched.

    UsageError for a method of which nothing is left to search.
    """
    left = []
    for spec in specs:
        search = {name: one for name, one in spec.search.items() if name not in pinned.get(spec.name, {})}
        if not search:
            raise UsageError(f"--set gives all that is searched of method {spec.name!r} a value")
        left.append(replace(spec, search=search))
    return left


def development(
    suite: Suite, catalogue: Catalogue, seeds: int, trials: Sequence[Trial], first: int | None = None
) -> Suite:
    """The suite with `seeds` development seeds, or the first of them, and a row for each trial.

    UsageError if a seed of the suite is one of them.
    """
    own = range(FIRST_SEED, FIRST_SEED + seeds)
    if set(own) & set(suite.seeds):
        raise UsageError(f"seeds from {FIRST_SEED} on are kept for development")
    fixed = {
        n: p for n, p in suite.methods.items() if catalogue.methods.find(n).role in ("reference", "baseline")
    }
    forget = suite.forget
    if isinstance(forget, RandomForget):  # one forget set for all seeds is the one that the table shows
        forget = forget.model_copy(update={"seed": None})
    update = {
        "forget": forget,
        "seeds": list(own)[:first],
        "methods": fixed,
        "variants": [Variant(name=t.row, base=t.method, parameters=t.parameters) for t in trials],
    }
    return suite.model_copy(update=update)
