"""Every metric of models that were unlearned elsewhere, and what those want that are left out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from mubench.api.metric import MetricSpec
from mubench.api.outputs import Outputs
from mubench.reporting.evaluate import evaluate_metric, merge_values

# What metrics compare with -> what it is called.
WANTED = {"retrains": "further Retrains", "originals": "the Original", "references": "Retrain"}


def cells_of(
    table: Mapping[str, tuple[str, list[Outputs]]], metrics: Mapping[str, MetricSpec]
) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """A line per row and seed with every metric that can be computed; and what others want."""
    reference = table["Retrain"][1]
    floors = [of for role, of in table.values() if role == "floor"]
    beside: dict[str, list[Any]] = {"references": reference}
    beside["originals"] = table["Original"][1] if "Original" in table else []
    lines: list[dict[str, Any]] = []
    left_out: dict[str, list[str]] = {}
    given: set[str] = set()
    for name, (role, of) in table.items():
        # no Retrain may judge itself: the first takes its place
        others = [reference if further is of else further for further in floors]
        beside["retrains"] = [list(seed) for seed in zip(*others, strict=True)] if others else []
        values: list[dict[str, float]] = [{} for _ in of]
        for spec in metrics.values():
            missing = [what for what in spec.beside if not beside[what]]
            if missing:
                left_out.setdefault(WANTED[missing[0]], []).append(spec.name)
                continue
            found = evaluate_metric(spec, of, beside, {})
            merge_values(values, spec.name, found)
            if any(found):
                given.add(spec.name)
            elif spec.name not in given:
                left_out.setdefault(_wanted(spec, of, beside), []).append(spec.name)
        about = {"method": name, "role": role, "status": "ok", "reason": ""}
        times = {"rte": math.nan, "rte_shared": False}
        lines += [{**about, "seed": seed, **value, **times} for seed, value in enumerate(values)]
    empty = {what: sorted({*names} - given) for what, names in left_out.items()}
    return pd.DataFrame(lines), {what: names for what, names in empty.items() if names}


def _wanted(spec: MetricSpec, rows: list[Outputs], beside: Mapping[str, list[Any]]) -> str:
    """What a metric misses that gives nothing: validation images, if test images in their place help."""

    def lent(given: Any) -> Any:
        if isinstance(given, list):
            return [lent(one) for one in given]
        logits, labels = ({"val": of["test"], **of} for of in (given.logits, given.labels))
        return replace(given, logits=logits, labels=labels)

    if any(evaluate_metric(spec, lent(rows), {what: lent(of) for what, of in beside.items()}, {})):
        return 'validation outputs, "val" in labels and logits'
    return "features, a forgotten class, or enough images, seeds or Retrains"
