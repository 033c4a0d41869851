"""From the outputs of a row (one method, all seeds) to its numbers: all the harness calls."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mubench.api.metric import MetricSpec
from mubench.api.outputs import Outputs
from mubench.discovery.find import load_function
from mubench.errors import suggestion

Options = Mapping[str, Mapping[str, Any]]
# "references", "originals" or "retrains" -> what there is of them for every seed of a row, or nothing.
Beside = Mapping[str, Sequence[Any]]


def evaluate_row(
    metrics: Mapping[str, MetricSpec],
    rows: Sequence[Outputs],
    references: Sequence[Outputs] = (),
    options: Options | None = None,
    *,
    originals: Sequence[Outputs] = (),
    retrains: Sequence[Sequence[Outputs]] = (),
) -> list[dict[str, float]]:
    """All values and diagnostics of a row: one dict per seed, in the order of `rows`.

    rows: a method's outputs, one per seed. references: Retrain's of the same seeds in the same
    order, or none at all; then the metrics that compare with it are left out. So with originals, the
    Original's, and retrains, each seed's further Retrains. options: metric name -> its options.

    Raises ValueError for an option or value that is not one (naming the nearest right name), for
    outputs that cannot be scored (not finite, a label that is no class, an empty set), if a metric
    gives NaN or two of them the same key.
    """
    options = options or {}
    for name in options:
        if name not in metrics:
            raise ValueError(f"options for an unknown metric {name!r}.{suggestion(name, metrics)}")
    beside: Beside = {"references": references, "originals": originals, "retrains": retrains}
    for name, others in beside.items():
        if others and len(others) != len(rows):
            raise ValueError(f"{len(rows)} seeds have {len(others)} {name}")
    for outputs in (*rows, *references, *originals, *(one for of_seed in retrains for one in of_seed)):
        check_outputs(outputs)
    values: list[dict[str, float]] = [{} for _ in rows]
    for one in metrics.values():
        if rows and all(beside[name] for name in one.beside):
            merge_values(values, one.name, evaluate_metric(one, rows, beside, options.get(one.name, {})))
    return values


def evaluate_metric(
    one: MetricSpec, rows: Sequence[Outputs], beside: Beside, options: Mapping[str, Any]
) -> list[dict[str, float]]:
    """One metric's value and diagnostics, by their names in cells.csv: a dict per seed.

    Raises ValueError for a wrong option, if the metric gives NaN, or not one result per seed.
    """
    given = one.bind(options, f"metric {one.name!r}")
    function, others = load_function(one), [beside[name] for name in one.beside]
    if one.by_seed:
        results = [function(*of_seed, **given) for of_seed in zip(rows, *others, strict=True)]
    else:
        results = list(function(rows, *others, **given))
    if len(results) != len(rows):
        raise ValueError(f"metric {one.name!r} gave {len(results)} results for {len(rows)} seeds")
    return [_named(one, result) for result in results]


def merge_values(values: Sequence[dict[str, float]], name: str, more: Sequence[Mapping[str, float]]) -> None:
    """Add what the metric `name` gave to the values by seed; ValueError if another gave the same key."""
    for target, named in zip(values, more, strict=True):
        if not target.keys().isdisjoint(named):
            twice = next(key for key in named if key in target)
            raise ValueError(f"metric {name!r} gives {twice!r}, which another metric already gives")
        target.update(named)


def _named(one: MetricSpec, result: Any) -> dict[str, float]:
    values = {}
    for key, value in (result if isinstance(result, Mapping) else {one.name: result}).items():
        full, number = key if key == one.name else f"{one.name}_{key}", float(value)
        if not math.isfinite(number):
            raise ValueError(f"metric {one.name!r} gives {full} = {number}; leave out what does not exist")
        values[full] = number
    return values


def check_outputs(outputs: Outputs) -> None:
    """Refuse what cannot be scored: a model whose logits are NaN has no accuracy and no rank.

    Raises ValueError for logits that are not finite, a label that is no class, an empty set.
    """
    for name in ("forget", "retain", "test"):
        if not len(outputs.of(name)[0]):
            raise ValueError(f"outputs: {name} is empty")
    for name, z in outputs.logits.items():
        y = outputs.labels[name]
        if z.ndim != 2 or z.shape[1] < 2 or y.shape != z.shape[:1]:
            raise ValueError(f"outputs: {name} has logits {z.shape} and labels {y.shape}")
        if not np.isfinite(z).all():
            raise ValueError(f"outputs: {name} has logits that are not finite")
        if len(y) and not 0 <= y.min() <= y.max() < z.shape[1]:
            raise ValueError(f"outputs: {name} has labels outside 0..{z.shape[1] - 1}")
