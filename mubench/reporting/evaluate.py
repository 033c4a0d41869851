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


def evaluate_row(
    metrics: Mapping[str, MetricSpec],
    rows: Sequence[Outputs],
    references: Sequence[Outputs] = (),
    options: Options | None = None,
) -> list[dict[str, float]]:
    """All values and diagnostics of a row: one dict per seed, in the order of `rows`.

    rows: a method's outputs, one per seed. references: Retrain's of the same seeds in the same
    order, or none at all; then the metrics that compare with it are left out. options: metric
    name -> its options.

    Raises ValueError for an option or value that is not one (naming the nearest right name), for
    outputs that cannot be scored (not finite, a label that is no class, an empty set), if a metric
    gives NaN or two of them the same key.
    """
    options = options or {}
    for name in options:
        if name not in metrics:
            raise ValueError(f"options for an unknown metric {name!r}.{suggestion(name, metrics)}")
    if references and len(references) != len(rows):
        raise ValueError(f"{len(rows)} seeds have {len(references)} references")
    for outputs in (*rows, *references):
        _check(outputs)
    values: list[dict[str, float]] = [{} for _ in rows]
    for one in metrics.values():
        given = one.bind(options.get(one.name, {}), f"metric {one.name!r}")
        if rows and (references or one.needs in ("cell", "row")):
            for target, result in zip(values, _call(one, rows, references, given), strict=True):
                _merge(target, one, result)
    return values


def _call(
    one: MetricSpec, rows: Sequence[Outputs], references: Sequence[Outputs], given: Mapping[str, Any]
) -> Sequence[Any]:
    match one.needs:
        case "cell":
            return [load_function(one)(o, **given) for o in rows]
        case "pair":
            return [load_function(one)(o, r, **given) for o, r in zip(rows, references, strict=True)]
        case "row":
            results = load_function(one)(rows, **given)
        case "row_pair":
            results = load_function(one)(rows, references, **given)
    if len(results) != len(rows):
        raise ValueError(f"metric {one.name!r} gave {len(results)} results for {len(rows)} seeds")
    return list(results)


def _merge(target: dict[str, float], one: MetricSpec, result: Any) -> None:
    named = result if isinstance(result, Mapping) else {one.name: result}
    for key, value in named.items():
        full = key if key == one.name else f"{one.name}_{key}"
        if full in target:
            raise ValueError(f"metric {one.name!r} gives {full!r}, which another metric already gives")
        number = float(value)
        if not math.isfinite(number):
            raise ValueError(f"metric {one.name!r} gives {full} = {number}; leave out what does not exist")
        target[full] = number


def _check(outputs: Outputs) -> None:
    """A model that says NaN has no accuracy and no rank: refuse it rather than score it."""
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
