"""Plans the cells of a suite: which rows, which seeds, what decides each outcome."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import Any

from mubench.api.method import MethodSpec
from mubench.discovery.methods import Registry
from mubench.discovery.models import check_model
from mubench.errors import UsageError, error_context
from mubench.planning.cell import Cell, Setting
from mubench.planning.data_cache import Dataset, load_dataset
from mubench.planning.device import check_compile, resolve_device, resolve_precision
from mubench.planning.splits import Split, forget_indices, make_sets
from mubench.planning.suite import EVERY, MEAN, ClassForget, Suite
from mubench.storage.files import key_of
from mubench.storage.store import Store
from mubench.version import NUMERICS


@dataclass(frozen=True)
class Row:
    """One row of the table: its cells' keys by seed, or why there are none.

    role: "reference", "baseline", "floor" or "method".
    """

    name: str
    role: str
    keys: dict[int, str] = field(default_factory=dict)
    status: str = ""
    reason: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """All rows of a suite and every cell they need, originals first.

    classes: where every class is forgotten in turn, the plan of each class by its name; `cells` are
    then those of all of them, and the plan has no rows and splits of its own.
    """

    suite: Suite
    dataset: Dataset
    device: str
    precision: str
    rows: list[Row]
    cells: list[Cell]
    splits: dict[int, Split]
    classes: dict[str, Plan] = field(default_factory=dict)

    @property
    def parts(self) -> list[Plan]:
        """The plans that have rows and splits: one per class, or this one alone."""
        return list(self.classes.values()) or [self]

    def missing(self, store: Store, alone: bool = False) -> list[Cell]:
        """The cells still to run; an original only if a cell that is missing needs it.

        alone: those that shared the machine while they were timed count as missing too.
        """

        def open_(cell: Cell) -> bool:
            record = store.get(cell.key)
            return record is None or (alone and record.about["cost"]["shared"])

        absent = [c for c in self.cells if c.spec is not None and open_(c)]
        needed = {c.original for c in absent}
        originals = [c for c in self.cells if c.spec is None and c.key in needed and store.get(c.key) is None]
        return [*originals, *(replace(c, alone=alone) for c in absent)]


@dataclass(frozen=True)
class _Wanted:
    name: str
    role: str
    spec: MethodSpec
    parameters: dict[str, Any]
    run: str = "unlearn"


def _wanted(suite: Suite, registry: Registry, where: str) -> tuple[list[_Wanted], list[Row]]:
    """The rows in the table's order, and those whose method could not be loaded."""
    reference, baseline = registry.by_role("reference"), registry.by_role("baseline")
    asked = {reference.name: {}, baseline.name: {}, **suite.methods}
    rows: list[_Wanted] = []
    broken: list[Row] = []
    for name, given in asked.items():
        if name in registry.broken and name not in registry.methods:
            broken.append(Row(name, "method", status="FAILED", reason=registry.broken[name]))
            continue
        spec = registry.get(name, where)
        rows.append(_Wanted(name, spec.role, spec, spec.bind(given, f"{where}: [methods.{name}]")))
    for variant in suite.variants:
        spec = registry.get(variant.base, f"{where}: variant {variant.name!r}")
        given = {**suite.methods.get(variant.base, {}), **variant.parameters}
        parameters = spec.bind(given, f"{where}: variant {variant.name!r}")
        rows.append(_Wanted(variant.name, spec.role, spec, parameters))
    if suite.floor:
        exact = next(r for r in rows if r.role == "reference")
        name = f"{exact.name} (again)"
        if name in {r.name for r in rows}:
            raise UsageError(f"{where}: a row is called {name!r}, the name of the noise floor's row")
        rows.append(_Wanted(name, "floor", exact.spec, exact.parameters, "again"))
    order = ("reference", "baseline", "floor", "method")
    return sorted(rows, key=lambda r: order.index(r.role)), broken


def _load(suite: Suite, store: Store, where: str) -> Dataset:
    with error_context(where):
        try:
            return load_dataset(suite.dataset, suite.data, store.root / "data")
        except OSError as error:
            error.filename = error.filename or str(store.root / "data")
            raise


def make_plan(
    suite: Suite,
    registry: Registry,
    store: Store,
    device: str = "auto",
    where: str = "suite",
    dataset: Dataset | None = None,
) -> Plan:
    """Check everything the suite asks for and derive the key of every cell.

    dataset: the suite's data, if they are loaded already.

    Raises UsageError, naming `where`, for unknown names, wrong parameters or impossible forget sets.
    """
    if isinstance(suite.forget, ClassForget) and suite.forget.target == EVERY:
        return _every_class(suite, registry, store, device, where)
    with error_context(where):
        check_model(suite.model)
    device = resolve_device(device)
    if suite.compile:
        with error_context(where):
            check_compile(device)
    precision = resolve_precision(suite.precision, device)
    rows, broken = _wanted(suite, registry, where)
    dataset = dataset or _load(suite, store, where)
    with error_context(where):
        labels, classes = dataset.raw.labels, dataset.raw.classes
        train, val, test, original = make_sets(
            suite.split, labels, dataset.raw.test, suite.val_percent, classes
        )
        splits = {}
        for seed in suite.seeds:
            forget, forgotten = forget_indices(suite.forget, train, labels, classes, seed)
            splits[seed] = Split(train, val, test, forget, forgotten, original)

    setting = Setting(
        dataset=suite.dataset,
        data=suite.data,
        data_digest=dataset.digest,
        model=suite.model,
        recipe=suite.original,
        batch_size=suite.batch_size,
        val_percent=suite.val_percent,
        split=suite.split,
        forget=suite.forget,
        threads=suite.threads,
        precision=precision,
        device=device,
        timeout=suite.timeout,
        compile=suite.compile,
    )
    base = next(iter(splits.values())).manifest()
    seen = train if original is None else original
    common = {
        "numerics": NUMERICS,
        "torch": metadata.version("torch"),
        "data": dataset.digest,
        "split": [base[part]["sha256"] for part in ("val", "test")] + [_digest(seen)],
        "model": suite.model,
        "recipe": suite.original.model_dump(),
        "batch_size": suite.batch_size,
        "precision": precision,
        "device": device,
        "threads": suite.threads if device == "cpu" else 0,
        **({"compile": True} if suite.compile else {}),
    }
    originals = {
        seed: Cell(key_of({**common, "original": seed}), setting, seed, "original") for seed in suite.seeds
    }
    cells: list[Cell] = list(originals.values())
    table: list[Row] = []
    for row in rows:
        if suite.forget.scenario not in row.spec.scenarios:
            reason = f"not for {suite.forget.scenario} forgetting, only {', '.join(row.spec.scenarios)}"
            table.append(Row(row.name, row.role, status="skipped", reason=reason))
            continue
        keys = {}
        for seed in suite.seeds:
            split = splits[seed]
            facts = {
                "original": originals[seed].key,
                "forget": _digest(split.forget),
                "forgotten": list(split.forgotten),
                "method": [row.spec.source, row.spec.function],
                "parameters": row.parameters,
                "seed": seed,
                "run": row.run,
            }
            keys[seed] = key_of(facts)
            if keys[seed] not in {c.key for c in cells}:
                start = originals[seed].key
                cells.append(
                    Cell(keys[seed], setting, seed, row.run, row.spec, row.parameters, start, split.digest)
                )
        table.append(Row(row.name, row.role, keys, parameters=row.parameters))
    return Plan(suite, dataset, device, precision, [*table, *broken], cells, splits)


def _every_class(suite: Suite, registry: Registry, store: Store, device: str, where: str) -> Plan:
    """One ordinary plan per class: the same cells, under the same keys, as that class's own suite."""
    dataset = _load(suite, store, where)
    names = dataset.raw.classes
    if len(names) < 2:
        raise UsageError(
            f'{where}: forget.class = "{EVERY}" needs at least two classes; {suite.dataset} has {len(names)}'
        )
    plans: dict[str, Plan] = {}
    for k, name in enumerate(names):
        forget = ClassForget.model_validate({"scenario": "class", "class": k})
        # two classes of one name must not become one block of the table, nor one the block of the mean
        label = name if names.count(name) == 1 and name != MEAN else f"{name} ({k})"
        one = suite.model_copy(update={"forget": forget})
        plans[label] = make_plan(one, registry, store, device, where, dataset)
    first = next(iter(plans.values()))
    cells = {cell.key: cell for plan in plans.values() for cell in plan.cells}
    ordered = sorted(cells.values(), key=lambda cell: cell.spec is not None)
    return Plan(suite, dataset, first.device, first.precision, [], ordered, {}, plans)


def _digest(indices: Any) -> str:
    return hashlib.sha256(json.dumps(indices.tolist()).encode()).hexdigest()


def select(suite: Suite, registry: Registry, names: Sequence[str], extra: Sequence[MethodSpec]) -> Suite:
    """The suite with only the rows in `names` (all if empty), and the plugins' methods in `extra`."""
    joined = {spec.name: suite.methods.get(spec.name, {}) for spec in extra}
    if not names:
        return suite.model_copy(update={"methods": {**suite.methods, **joined}})
    variants = {v.name: v for v in suite.variants}
    for name in names:
        if name not in variants and name not in registry.broken:
            registry.get(name, "--methods")
    methods = {n: suite.methods.get(n, {}) for n in names if n not in variants}
    kept = [
        v.model_copy(update={"parameters": {**suite.methods.get(v.base, {}), **v.parameters}})
        for v in (variants[n] for n in names if n in variants)
    ]
    return suite.model_copy(update={"methods": {**methods, **joined}, "variants": kept})
