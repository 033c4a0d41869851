"""What a metric declares: `@metric` leaves a `Metric` on the function and returns it unchanged."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

Needs = Literal["cell", "pair", "row", "row_pair"]
Better = Literal["reference", "higher", "lower"]
F = TypeVar("F", bound=Callable[..., Any])

_ARGUMENTS: dict[Needs, int] = {"cell": 1, "pair": 2, "row": 1, "row_pair": 2}


@dataclass(frozen=True)
class Metric:
    """Everything the harness knows of a metric.

    name: its key in cells.csv; other keys it returns are recorded as `<name>_<key>`.
    title: the column's heading. better: what a good value is; "reference" means Retrain's.
    needs: what the function is given, see `metric`. gap: whether it can enter the Avg. Gap.
    options: keyword-only parameter -> default. source: digest of its file and of the files of
    this package that it imports, so a value computed by other code is never taken for this one's.
    """

    name: str
    title: str
    better: Better
    needs: Needs
    gap: bool
    doc: str
    function: Callable[..., Any] = field(compare=False)
    options: Mapping[str, Any]
    file: str
    source: str


def metric(
    name: str, *, title: str, better: Better, needs: Needs = "cell", gap: bool = False
) -> Callable[[F], F]:
    """Declare a metric. What the function is called with follows from `needs`:

    "cell":     `f(outputs)` -> result, for one seed
    "pair":     `f(outputs, reference)` -> result, for one seed and its Retrain
    "row":      `f(rows)` -> one result per seed, for all seeds of a method at once
    "row_pair": `f(rows, references)` -> one result per seed, with the Retrain of every seed

    Arguments are `mubench.outputs.Outputs`, or sequences of them in the order of the seeds. Keyword-only
    parameters with defaults are options. A result is a float, or a dict in which the metric's own
    name is the value and every other key a diagnostic, recorded as `<name>_<key>`. Percent, as the
    field prints it. A quantity that does not exist is left out of the dict; NaN is an error.

    Raises TypeError, naming the function, if the signature or a declaration cannot be used.
    """

    def declare(function: F) -> F:
        where = f"metric {name!r} ({function.__name__})"
        for value, allowed, what in (
            (better, get_args(Better), "better"),
            (needs, get_args(Needs), "needs"),
        ):
            if value not in allowed:
                raise TypeError(f"{where}: {what} is {value!r}; it may be {', '.join(allowed)}")
        file = Path(function.__code__.co_filename).resolve()
        function.__mubench_metric__ = Metric(  # type: ignore[attr-defined]
            name=name,
            title=title,
            better=better,
            needs=needs,
            gap=gap,
            doc=inspect.getdoc(function) or "",
            function=function,
            options=_options(function, needs, where),
            file=str(file),
            source="",
        )
        return function

    return declare


def _options(function: Callable[..., Any], needs: Needs, where: str) -> dict[str, Any]:
    options, positional = {}, 0
    for p in inspect.signature(function).parameters.values():
        if p.kind is p.KEYWORD_ONLY:
            if p.default is p.empty:
                raise TypeError(f"{where}: option {p.name} needs a default")
            options[p.name] = p.default
        elif p.kind in (p.POSITIONAL_OR_KEYWORD, p.POSITIONAL_ONLY):
            positional += 1
        else:
            raise TypeError(f"{where}: *args and **kwargs hide options; name them")
    if positional != _ARGUMENTS[needs]:
        raise TypeError(
            f"{where}: needs={needs!r} gives {_ARGUMENTS[needs]} positional arguments, not {positional}"
        )
    return options
