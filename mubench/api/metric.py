"""What a metric declares: `@metric` leaves a `MetricSpec` on the function and returns it unchanged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from mubench.api.parameter import parameters_of
from mubench.api.spec import Spec, doc_of, mark

Needs = Literal["cell", "pair", "original", "row", "row_pair", "retrains"]
Better = Literal["reference", "higher", "lower"]
Gap = Literal["", "accuracy", "attack"]
# Columns of cells.csv and table.csv that are no metric's, and how further ones end.
_TAKEN = (
    *("class", "method", "role", "seed", "seeds", "status", "reason", "key", "target"),
    *("rank", "rte", "rte_shared", "rte_ratio", "forward", "backward", "read_forget", "read_retain"),
    *("peak_memory_mib", "changed"),
)
_ENDINGS = ("_std", "_gap", "_se", "_low", "_high", "_at_chance")
F = TypeVar("F", bound=Callable[..., Any])

_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "cell": ("outputs",),
    "pair": ("outputs", "reference"),
    "original": ("outputs", "original"),
    "row": ("rows",),
    "row_pair": ("rows", "references"),
    "retrains": ("rows", "retrains", "originals"),
}
# What a function for one seed calls one of the outputs that are handed out seed by seed.
_PLURAL = {"reference": "references", "original": "originals"}


def taken(name: str) -> bool:
    """Whether tables have, or may have, a column of this name that is no metric's."""
    return name in _TAKEN or name.startswith(("avg_gap", "note_")) or name.endswith(_ENDINGS)


@dataclass(frozen=True, kw_only=True)
class MetricSpec(Spec):
    """Everything that is known of a metric without computing it.

    name: its key in cells.csv; other keys it returns are recorded as `<name>_<key>`.
    title: the column's heading. better: what a good value is; "reference" means Retrain's.
    needs: what the function is given, see `metric`. gap: "accuracy" enters every Avg. Gap; each "attack"
    has an Avg. Gap of itself and the accuracies. column: its place in the table from left to right, where
    the built-in ones are 10 to 60; None: cells.csv only.
    """

    title: str
    better: Better
    needs: Needs
    gap: Gap = ""
    column: int | None = None

    @property
    def by_seed(self) -> bool:
        """Whether the function is called for each seed, not once for all."""
        return _ARGUMENTS[self.needs][0] == "outputs"

    @property
    def beside(self) -> tuple[str, ...]:
        """What the function takes besides the row: some of references, originals and retrains, in order."""
        return tuple(_PLURAL.get(name, name) for name in _ARGUMENTS[self.needs][1:])


def metric(
    name: str,
    *,
    title: str,
    better: Better,
    needs: Needs = "cell",
    gap: Gap = "",
    column: int | None = None,
) -> Callable[[F], F]:
    """Declare a metric. What the function is called with follows from `needs`:

    "cell":     `f(outputs)` -> result, for one seed
    "pair":     `f(outputs, reference)` -> result, for one seed and its Retrain
    "original": `f(outputs, original)` -> result, for one seed and its Original
    "row":      `f(rows)` -> one result per seed, for all seeds of a method at once
    "row_pair": `f(rows, references)` -> one result per seed, with the Retrain of every seed
    "retrains": `f(rows, retrains, originals)` -> one result per seed; retrains: of every seed, its further
                Retrains, which do not include the row itself (the first Retrain takes its place)

    Arguments are `mubench.Outputs`, or sequences of them in the order of the seeds. Where a seed lacks
    what a metric needs, the metric is left out. Keyword-only
    parameters with types and defaults are options. A result is a float, or a dict in which the metric's
    own name is the value and every other key a diagnostic, recorded as `<name>_<key>`. Percent, as the
    field prints it. A quantity that does not exist is left out of the dict; NaN is an error.

    Raises TypeError, naming the function, if the signature or a declaration cannot be used.
    """

    def declare(function: F) -> F:
        where = f"metric {name!r} ({function.__name__})"
        if taken(name):
            raise TypeError(f"{where}: tables have a column {name!r} already; give it another name")
        for value, kind, what in ((better, Better, "better"), (needs, Needs, "needs"), (gap, Gap, "gap")):
            if value not in get_args(kind):
                allowed = ", ".join(filter(None, get_args(kind)))
                raise TypeError(f"{where}: {what} is {value!r}; it may be {allowed}")
        if gap and column is None:
            raise TypeError(f"{where}: what enters the Avg. Gap needs a column, as column=100")
        spec = MetricSpec(
            name=name,
            function=function.__name__,
            doc=doc_of(function),
            parameters=parameters_of(function, where, _ARGUMENTS[needs]),
            title=title,
            better=better,
            needs=needs,
            gap=gap,
            column=column,
        )
        mark(function, spec)
        return function

    return declare
