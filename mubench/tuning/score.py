"""How good a trial is: how close it comes to Retrain on validation images; test images have no say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from mubench.api.metric import MetricSpec
from mubench.api.outputs import Outputs
from mubench.discovery.find import Catalogue
from mubench.errors import UsageError
from mubench.planning.plan import Plan
from mubench.reporting.columns import Columns
from mubench.reporting.evaluate import Options
from mubench.reporting.metric_cache import row_values
from mubench.storage.store import Record, Store
from mubench.tuning.development import Trial


@dataclass(frozen=True)
class Score:
    """value: the mean gap in points, None if the trial failed, for the `reason`. means: over the sets."""

    value: float | None
    means: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""


class OnValidation(Record):
    """A record whose validation images stand in for the test images, so that test has no say."""

    @classmethod
    def of(cls, record: Record) -> OnValidation:
        """Under a key of its own: metrics of it are kept apart from those on test images."""
        return cls(record.where, {**record.about, "key": f"{record.about['key']} on validation"})

    def outputs(self) -> Outputs:
        """The stored outputs without the test images."""
        whole = super().outputs()
        swap = {"test": "val", "forget": "forget", "retain": "retain"}
        return replace(
            whole,
            logits={k: whole.logits[v] for k, v in swap.items()},
            labels={k: whole.labels[v] for k, v in swap.items()},
        )


def scores(plan: Plan, trials: Sequence[Trial], store: Store, catalogue: Catalogue) -> dict[str, Score]:
    """Row -> its score.

    The score is the mean over the development sets of the headline Avg. Gap to the mean of the same set's
    Retrains (as many as the suite has), or to the row's own Retrain; with validation in place of test, and
    by set, so that a trial which errs now up, now down, does not look good. Other attacks have no say. A
    trial that failed at a seed, or whose own Retrain did, has none.

    UsageError if a Retrain failed.
    """
    columns = Columns.of(catalogue.metrics.values(), plan.suite.headline)
    metrics = {column.name: catalogue.metrics[column.name] for column in columns.metrics if column.gap}
    options = {name: given for name, given in plan.suite.metrics.items() if name in metrics}
    (block,) = plan.blocks
    rows = {row.name: list(row.keys.values()) for row in block.rows}
    targets = {row.name: row.target for row in block.rows if row.target}

    def values(row: str) -> list[dict[str, float]] | str:
        found = [store.get(key) for key in rows[row]]
        whole = [OnValidation.of(record) for record in found if record]
        if len(whole) < len(found):
            return next(filter(None, map(store.failure, rows[row])), "it has no record")
        try:
            return _values(whole, store, metrics, options)
        except ValueError as error:  # such as logits that are not finite
            return str(error)

    retrains = []
    for row in block.rows:
        if row.role in ("reference", "floor"):
            found = values(row.name)
            if isinstance(found, str):
                raise UsageError(f"{row.name} failed on a development forget set, so nothing can be compared")
            retrains.append(found)
    reference: list[Any] = [pd.DataFrame(of_set).mean() for of_set in zip(*retrains, strict=True)]

    def score(trial: Trial) -> Score:
        found = values(trial.row)
        if isinstance(found, str):
            return Score(None, reason=found)
        own = values(targets[trial.row]) if trial.row in targets else None
        if isinstance(own, str):
            return Score(None, reason=f"{targets[trial.row]} failed: {own}")
        counted, aim = columns.headline.metrics, reference if own is None else own
        gaps = [abs(a[m] - b[m]) for a, b in zip(found, aim, strict=True) for m in counted]
        means = {m: sum(of_set[m] for of_set in found) / len(found) for m in metrics}
        return Score(float(sum(gaps) / len(gaps)), means)

    return {trial.row: score(trial) for trial in trials}


def _values(
    records: Sequence[Record], store: Store, metrics: Mapping[str, MetricSpec], options: Options
) -> list[dict[str, float]]:
    """All values by record, each computed once: those of one set are kept when further sets join."""
    single = {name: spec for name, spec in metrics.items() if spec.by_seed}
    pooled = {name: spec for name, spec in metrics.items() if not spec.by_seed}
    alone = [row_values([record], {}, store, single, options)[0] for record in records]
    return [{**a, **b} for a, b in zip(alone, row_values(records, {}, store, pooled, options), strict=True)]
