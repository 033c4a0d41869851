"""The trials of one method as a study of Optuna: asked in batches, told what they scored."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import PercentilePruner
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from mubench.api.method import MethodSpec
from mubench.errors import UsageError, printable, quote
from mubench.planning.plan import Plan
from mubench.planning.suite import Suite
from mubench.storage.files import key_of
from mubench.tuning.development import Trial
from mubench.tuning.sampler import SPREAD, Search
from mubench.tuning.score import Score
from mubench.tuning.space import fits, space_of
from mubench.tuning.storage import told_in_a_line
from mubench.tuning.tuned import setting
from mubench.version import NUMERICS

# How many trials of a method are asked for at once, after the first ones.
BATCH = 4
# On the first development sets, a trial that is not among so many percent of those before it is given up.
KEPT = 75.0
# Why a trial has no score, and its means, among the attributes of Optuna's trial.
FAILED, MEANS = "failed", "means"


@dataclass(frozen=True)
class Done:
    """A trial that is over. score: None if it failed; of a pruned one, on its first development sets."""

    number: int
    state: str
    score: float | None
    means: Mapping[str, float]
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Running:
    """A trial that was asked for: the row to run, and Optuna's trial to tell."""

    trial: Trial
    optuna: optuna.Trial


@dataclass(frozen=True)
class MethodStudy:
    """The search for one method: `count` trials, by their numbers from 0 on. fixed: what the suite sets."""

    spec: MethodSpec
    fixed: Mapping[str, Any]
    count: int
    study: optuna.Study
    space: dict[str, BaseDistribution] = field(repr=False)

    @classmethod
    def open(
        cls,
        spec: MethodSpec,
        fixed: Mapping[str, Any],
        count: int,
        name: str,
        storage: BaseStorage | None = None,
    ) -> MethodStudy:
        """The study of this name in the storage, where it is begun unless it is there; or in memory."""
        space = space_of(spec)
        with told_in_a_line(name):
            study = optuna.create_study(
                storage=storage,
                sampler=Search(spec.name, space),
                pruner=PercentilePruner(KEPT, n_startup_trials=SPREAD // 2),
                study_name=name,
                load_if_exists=True,
            )
        return cls(spec, fixed, count, study, space)

    def ask(self) -> list[Running]:
        """The next trials; none when all of `count` are over.

        When none is left to ask for, those that are still running: a process that was killed left them, or
        another one is at them, and then both find the same.
        """
        with told_in_a_line(self.study.study_name):
            batch: list[optuna.Trial] = []
            asked = sum(t.state is not TrialState.WAITING for t in self.study.trials)
            until = min(self.count, SPREAD if asked < SPREAD else asked + BATCH)
            while asked < until and (not batch or batch[-1].number < until - 1):
                batch.append(self.study.ask(self.space))
            # another worker may have asked in between: a number beyond the last one waits for a longer search
            batch = [one for one in batch if one.number < self.count]
            return [self._running(one) for one in batch or self._left()]

    def _left(self) -> list[optuna.Trial]:
        """The trials that are still running, all their parameters drawn."""
        left = []
        for t in self.study.trials:
            if t.number < self.count and t.state is TrialState.RUNNING:
                with suppress(UpdateFinishedTrialError):  # by another process, at this moment
                    one = optuna.Trial(self.study, t._trial_id)  # Optuna has no public way to it
                    for name, distribution in self.space.items():
                        one._suggest(name, distribution)
                    left.append(one)
        return left

    def _running(self, one: optuna.Trial) -> Running:
        self._check(one.number, one.params)
        parameters = {**self.fixed, **one.params}
        return Running(Trial(f"{self.spec.name} #{one.number}", self.spec.name, parameters), one)

    def hopeless(self, running: Running, score: Score, sets: int) -> bool:
        """Whether to give a trial up that has this score on the first development sets; it is told so."""
        with told_in_a_line(self.study.study_name):
            if score.value is not None:
                with suppress(UpdateFinishedTrialError), warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # reported already, by a process that was killed
                    running.optuna.report(score.value, sets)
                if not running.optuna.should_prune():
                    return False
            self._tell(running, score, TrialState.PRUNED)
            return True

    def finish(self, running: Running, score: Score) -> None:
        """Tell the score on all development sets."""
        with told_in_a_line(self.study.study_name):
            self._tell(running, score, TrialState.PRUNED if score.value is None else TrialState.COMPLETE)

    def _tell(self, running: Running, score: Score, state: TrialState) -> None:
        """A trial that failed is told as pruned: Optuna forgets failures, and would draw them once more."""
        about = (FAILED, score.reason) if score.value is None else (MEANS, dict(score.means))
        with suppress(UpdateFinishedTrialError):  # another process was at it and was first: with the same
            running.optuna.set_user_attr(*about)
            value = score.value if state is TrialState.COMPLETE else None
            self.study.tell(running.optuna, value, state, skip_if_finished=True)

    def done(self) -> list[Done]:
        """The trials that are over, by number; UsageError for what this search cannot have written."""
        with told_in_a_line(self.study.study_name):
            trials = self.study.trials
        return [self._done(t) for t in trials if t.number < self.count and t.state.is_finished()]

    def _done(self, t: FrozenTrial) -> Done:
        self._check(t.number, t.params)
        state = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}.get(t.state, "failed")
        state = "failed" if FAILED in t.user_attrs else state
        score = None if state == "failed" else t.value
        means = t.user_attrs.get(MEANS, {})
        numbers = [*means.values()] if isinstance(means, dict) else [None]
        if not all(isinstance(x, int | float) and math.isfinite(x) for x in [*numbers, score or 0.0]):
            raise self._strange(t.number, "numbers that are none")
        return Done(t.number, state, score, means, {**self.fixed, **t.params})

    def _check(self, number: int, parameters: Mapping[str, Any]) -> None:
        """The storage may be shared, so what comes from it is checked like any other input."""
        if not fits(self.space, parameters):
            raise self._strange(number, f"parameters outside the search space: {quote(dict(parameters))}")

    def _strange(self, number: int, what: str) -> UsageError:
        return UsageError(
            f"trial {number} of the study {printable(self.study.study_name)} in --storage has {what}; "
            "take another storage"
        )

    def best(self) -> Done | None:
        """The best trial of all that ran on every development set; None if there is none."""
        whole = [d for d in self.done() if d.state == "complete" and d.score is not None]
        return min(whole, key=lambda d: (d.score, d.number), default=None)


def open_studies(
    specs: Sequence[MethodSpec], suite: Suite, name: str, plan: Plan, count: int, storage: BaseStorage | None
) -> list[MethodStudy]:
    """A study for each method, under a name that holds all that decides its scores.

    suite: the tuned one, `name` its name. plan: of its development sets.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it tells of every study
    studies = []
    for spec in specs:
        fixed = suite.methods.get(spec.name, {})
        facts = {
            "numerics": NUMERICS,
            "suite": setting(plan.suite),
            "data": plan.dataset.digest,
            "seeds": plan.suite.seeds,
            "retrains": plan.suite.floor,
            "score": [plan.suite.headline, plan.suite.metrics],
            "method": [spec.source, spec.function, spec.search, fixed],
        }
        title = printable(f"{name}, {spec.name}, {key_of(facts)[:12]}")
        studies.append(MethodStudy.open(spec, fixed, count, title, storage))
    return studies
