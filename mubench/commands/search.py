"""The search of `mubench tune`, on development forget sets and validation images, which no table shows.

Every method gets the same number of trials: half spread over its declared search space, the
rest close to the best of those. A trial is an ordinary row of an ordinary run, so it is cached,
resumed and timed like any other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from mubench.api.method import MethodSpec
from mubench.api.outputs import Outputs
from mubench.discovery.find import Catalogue
from mubench.errors import UsageError
from mubench.planning.plan import Plan
from mubench.planning.suite import EVERY, ClassForget, RandomForget, Suite
from mubench.planning.variant import Variant
from mubench.reporting.columns import Columns
from mubench.reporting.evaluate import evaluate_row
from mubench.storage.store import Store
from mubench.streams import stream_seed

# Development forget sets have seeds of their own, far from those of any suite.
FIRST_SEED = 1000


@dataclass(frozen=True)
class Trial:
    """One setting of one method: its row, and the parameters drawn beside those that the suite sets."""

    row: str
    method: str
    parameters: dict[str, Any]


def explored(trials: int) -> int:
    """How many of the trials are spread over the whole space."""
    return max(1, trials // 2)


def draw(spec: MethodSpec, trials: int, near: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """`trials` points of the spec's search space: a scrambled Halton sequence, the same at every call.

    near: stay within a tenth of each range, on its logarithmic scale, either side of this point. A choice
    has no neighbours: it is drawn from all its values again.
    """
    from scipy.stats import qmc

    names = sorted(spec.search)
    points = qmc.Halton(len(names), rng=stream_seed(0, "tune", spec.name)).random(trials)
    return [
        {n: _value(spec.search[n], float(u), (near or {}).get(n)) for n, u in zip(names, point, strict=True)}
        for point in points
    ]


def _value(space: Mapping[str, Any], u: float, near: Any = None) -> Any:
    if "log" in space:
        low, high = (math.log(v) for v in space["log"])
        if near is not None:
            tenth = (high - low) / 10
            low, high = max(low, math.log(near) - tenth), min(high, math.log(near) + tenth)
        return float(f"{math.exp(low + u * (high - low)):.3g}")
    choices = space["choices"]
    return choices[min(int(u * len(choices)), len(choices) - 1)]


def development(
    suite: Suite,
    catalogue: Catalogue,
    names: Sequence[str],
    trials: int,
    seeds: int,
    best: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[Suite, list[Trial]]:
    """The suite with development seeds, and a row for each trial of each of `names` that can be tuned.

    Without `best` (method -> parameters), the trials spread over the whole space alone. UsageError if
    none can be tuned, or the suite leaves no room for development.
    """
    if isinstance(suite.forget, ClassForget) and suite.forget.target == EVERY:
        raise UsageError("tuning takes one class at a time: add --set forget.class=0")
    if set(range(FIRST_SEED, FIRST_SEED + seeds)) & set(suite.seeds):
        raise UsageError(f"seeds from {FIRST_SEED} on are kept for development")
    specs = [catalogue.methods.find(n, "--methods") for n in names]
    wide = explored(trials)
    drawn: list[Trial] = []
    for spec in specs:
        if not spec.search or suite.forget.scenario not in spec.scenarios:
            continue
        points = draw(spec, wide)
        if best is not None and spec.name in best:
            points += draw(spec, trials - wide, best[spec.name])
        fixed_ones = suite.methods.get(spec.name, {})
        drawn += [Trial(f"{spec.name} #{i}", spec.name, {**fixed_ones, **p}) for i, p in enumerate(points)]
    if not drawn:
        raise UsageError(
            f"none of {', '.join(names)} declares a search space for {suite.forget.scenario} forgetting; "
            'write search={"lr": log_uniform(1e-4, 1e-1)} in @method'
        )
    fixed = {
        n: p for n, p in suite.methods.items() if catalogue.methods.find(n).role in ("reference", "baseline")
    }
    rows = [Variant(name=t.row, base=t.method, parameters=t.parameters) for t in drawn]
    forget = suite.forget
    if isinstance(forget, RandomForget):  # one forget set for all seeds is the one that the table shows
        forget = forget.model_copy(update={"seed": None})
    update = {
        "forget": forget,
        "seeds": list(range(FIRST_SEED, FIRST_SEED + seeds)),
        "methods": fixed,
        "variants": rows,
    }
    return suite.model_copy(update=update), drawn


def _on_validation(outputs: Outputs) -> Outputs:
    """Validation takes the place of test, so that test has no say."""
    swap = {"test": "val", "forget": "forget", "retain": "retain"}
    return replace(
        outputs,
        logits={k: outputs.logits[v] for k, v in swap.items()},
        labels={k: outputs.labels[v] for k, v in swap.items()},
    )


def score(
    plan: Plan, trials: Sequence[Trial], store: Store, catalogue: Catalogue | None = None
) -> pd.DataFrame:
    """A line per trial, best of each method first: its score, its means over the seeds, parameters.

    The score is the mean over the development sets of the headline Avg. Gap to the mean of the same set's
    Retrains (as many as the suite has), or to the row's own Retrain; with validation in place of test, and
    by set, so that a trial which errs now up, now down, does not look good. Other attacks have no say.
    A trial that failed at a seed has no score and comes last.

    catalogue: the plugins; unless given, those installed.
    """
    metrics = (catalogue or Catalogue()).metrics
    columns = Columns.of(metrics.values(), plan.suite.headline)
    wanted = {column.name: metrics[column.name] for column in columns.metrics if column.gap}
    options = {name: given for name, given in plan.suite.metrics.items() if name in wanted}

    def values(keys: Mapping[int, str]) -> list[dict[str, float]] | None:
        records = [store.get(k) for k in keys.values()]
        outputs = [_on_validation(r.outputs()) for r in records if r]
        return evaluate_row(wanted, outputs, (), options) if len(outputs) == len(keys) else None

    counted = columns.headline.metrics
    (block,) = plan.blocks
    rows = {r.name: r for r in block.rows}
    retrains = [values(r.keys) for r in block.rows if r.role in ("reference", "floor")]
    if None in retrains:
        raise UsageError("Retrain failed on a development forget set; nothing can be compared")
    reference = [pd.DataFrame(of_set).mean() for of_set in zip(*retrains, strict=True)]
    lines = []
    for trial in trials:
        row = rows[trial.row]
        by_seed = values(row.keys)
        aim: Sequence[Any] | None = values(rows[row.target].keys) if row.target else reference
        line: dict[str, Any] = {"method": trial.method, "score": math.nan}
        if by_seed is not None and aim is not None:
            gaps = [abs(a[m] - b[m]) for a, b in zip(by_seed, aim, strict=True) for m in counted]
            line["score"] = sum(gaps) / len(gaps)
            line |= {m: sum(v[m] for v in by_seed) / len(by_seed) for m in wanted}
        lines.append({**line, "parameters": trial.parameters})
    frame = pd.DataFrame(lines)
    order = {m: i for i, m in enumerate(frame["method"].unique())}
    return frame.sort_values(
        ["method", "score"], key=lambda c: c.map(order) if c.name == "method" else c, ignore_index=True
    )


def winners(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Method -> the parameters of its best trial; a method whose trials all failed is left out."""
    best = frame.dropna(subset=["score"]).groupby("method", sort=False)["parameters"].first()
    return {str(method): parameters for method, parameters in best.items()}


def as_toml(frame: pd.DataFrame) -> str:
    """The best trial of each method as the tables of a suite's file."""
    lines = []
    for method, parameters in winners(frame).items():
        name = f'"{method}"' if not method.replace("-", "").isalnum() else method
        lines.append(f"[methods.{name}]")
        lines += [f"{k} = {_toml(v)}" for k, v in sorted(parameters.items())]
        lines.append("")
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)
