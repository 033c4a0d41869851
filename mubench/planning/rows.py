"""The rows of a suite's table: which there are, in which order, with which parameters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from mubench.api.method import MethodSpec, Role
from mubench.discovery.find import Catalogue
from mubench.errors import UsageError
from mubench.planning.cell import Own, again
from mubench.planning.composition import PLAIN, Composition, compose
from mubench.planning.suite import Suite
from mubench.planning.variant import Variant

# From the top of the table to its bottom.
ROLES = ("reference", "baseline", "floor", "method", "aside")


class Status(StrEnum):
    """How a row or a cell stands in tables."""

    OK = "ok"
    FAILED = "FAILED"
    MISSING = "missing"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class TableRow:
    """One row of the table: its cells' keys by seed, or a status and the reason why there are none.

    role: "reference", "baseline", "floor" or "method"; "aside" for the Original and the Retrain of a method's
    own kind, which no table prints. parameters: of its method, as it runs. composition: its mask and the
    method after it. own, target: its own kind of original, and the row of its own Retrain, if it has one.
    """

    name: str
    role: str
    keys: dict[int, str] = field(default_factory=dict)
    status: str = ""
    reason: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    composition: Composition = PLAIN
    own: Own | None = None
    target: str = ""


def table_rows(suite: Suite, catalogue: Catalogue, where: str) -> list[tuple[TableRow, MethodSpec | None]]:
    """The rows in the table's order, without keys, and the method of each (None: it cannot be loaded).

    Raises UsageError, naming `where`, for a method, parameter or name that cannot be used.
    """
    reference, baseline = catalogue.with_role(Role.REFERENCE), catalogue.with_role(Role.BASELINE)
    methods = catalogue.methods
    further = [f"{reference.name} ({again(number)})" for number in range(1, suite.floor + 1)]
    rows: list[tuple[TableRow, MethodSpec | None]] = []
    broken: list[tuple[TableRow, MethodSpec | None]] = []
    for name, options in {reference.name: {}, baseline.name: {}, **suite.methods}.items():
        if name in methods.broken and name not in methods:
            reason = methods.broken[name]
            broken.append((TableRow(name, "method", status=Status.FAILED, reason=reason), None))
            continue
        spec = methods.find(name, where)
        parameters = spec.bind(options, f"{where}: [methods.{name}]")
        rows += _with_own(TableRow(name, spec.role, parameters=parameters), spec, reference, baseline)
        if spec is reference:
            rows += [(TableRow(one, "floor", parameters=parameters), spec) for one in further]
    for variant in suite.variants:
        place = f"{where}: variant {variant.name!r}"
        spec = methods.find(variant.base, place)
        parameters = spec.bind({**suite.methods.get(variant.base, {}), **variant.parameters}, place)
        composition = compose(variant, spec, suite, catalogue, place)
        # there is one reference; a variant of it is compared with it like any other row
        role = "method" if spec is reference else spec.role
        row = TableRow(variant.name, role, parameters=parameters, composition=composition)
        rows += _with_own(row, spec, reference, baseline)
    asides = [row.name for row, _ in rows if row.role == "aside"]
    joined = (reference.name, baseline.name, *further, *asides)
    _check_names([row.name for row, _ in [*rows, *broken]], joined, reference.name, where)
    return [*sorted(rows, key=lambda row: ROLES.index(row[0].role)), *broken]


def _with_own(
    row: TableRow, spec: MethodSpec, reference: MethodSpec, baseline: MethodSpec
) -> list[tuple[TableRow, MethodSpec]]:
    """The row; with an original of its own kind also the rows of that, untouched and retrained."""
    own = Own.of(spec, row.parameters)
    if own is None:
        return [(row, spec)]
    row = replace(row, own=own, target=f"{row.name} ({reference.name})")
    asides = [
        (replace(row, name=f"{row.name} ({one.name})", role="aside", parameters=one.bind({}, one.name)), one)
        for one in (baseline, reference)
    ]
    return [(row, spec), *asides]


def _check_names(names: Sequence[str], joined: Sequence[str], reference: str, where: str) -> None:
    """UsageError if two rows are called the same, or one like a row that joins by itself.

    Only here are all names known: selection and plugins bring some. The numbers of a row are found by
    its name, so one of two would show the other's. joined: the rows that did join by themselves;
    the names of further references are kept for them also where a suite wants none.
    """
    further = re.compile(rf"{re.escape(reference)} \(again( \d+)?\)")
    for name, count in Counter(names).items():
        if (count > 1 and name in joined) or (name not in joined and further.fullmatch(name)):
            raise UsageError(
                f"{where}: a row is called {name!r}, the name of a row that joins by itself; rename it"
            )
        if count > 1:
            raise UsageError(f"{where}: two rows are called {name!r}; rename one of them")


def select(suite: Suite, catalogue: Catalogue, names: Sequence[str], extra: Sequence[MethodSpec]) -> Suite:
    """The suite with only the rows in `names` (all if empty), and the plugins' methods in `extra`."""
    methods = catalogue.methods
    joined = {spec.name: suite.methods.get(spec.name, {}) for spec in extra}
    if not names:
        return suite.model_copy(update={"methods": {**suite.methods, **joined}})
    variants = {v.name: v for v in suite.variants}
    for name in names:
        if name not in variants and name not in methods.broken:
            methods.find(name, "--methods")
    chosen = {n: suite.methods.get(n, {}) for n in names if n not in variants}
    kept = [_settled(variants[n], suite) for n in names if n in variants]
    return suite.model_copy(update={"methods": {**chosen, **joined}, "variants": kept})


def _settled(variant: Variant, suite: Suite) -> Variant:
    """The variant with the suite's parameters for its methods among its own: their rows may be left out."""
    update: dict[str, Any] = {"parameters": {**suite.methods.get(variant.base, {}), **variant.parameters}}
    if variant.then is not None:
        given = {**suite.methods.get(variant.then.name, {}), **variant.then.parameters}
        update["then"] = variant.then.model_copy(update={"parameters": given})
    return variant.model_copy(update=update)
