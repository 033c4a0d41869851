"""What a plugin declares: `@method` turns a function's signature into its configuration.

The decorator returns the function unchanged, so one method can call another, and leaves a `Card`
on it: plain data that can be listed, checked and cached without running anything.
"""

from __future__ import annotations

import inspect
import math
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from mubench.errors import UsageError, unknown

Role = Literal["method", "baseline", "reference"]
SetSeen = Literal["forget", "retain"]
SCENARIOS = ("random", "class", "indices")
F = TypeVar("F", bound=Callable[..., Any])

_KINDS: dict[type, str] = {bool: "bool", int: "int", float: "float", str: "str"}


@dataclass(frozen=True)
class Parameter:
    """One hyper-parameter: its name, type, default and, if it is a choice, what may be chosen."""

    name: str
    kind: str
    default: Any
    choices: tuple[Any, ...] = ()
    optional: bool = False

    @property
    def type_name(self) -> str:
        """The type as a person would write it."""
        base = " | ".join(repr(c) for c in self.choices) if self.choices else self.kind
        return f"{base} | None" if self.optional else base

    def check(self, value: Any, where: str) -> Any:
        """`value` as this parameter's type; UsageError naming `where` if it is not one."""
        if value is None and self.optional:
            return None
        if self.choices:
            if value in self.choices and type(value) in {type(c) for c in self.choices}:
                return value
        elif self.kind == "float" and type(value) in (int, float) and math.isfinite(value):
            return float(value)
        elif type(value).__name__ == self.kind and self.kind != "float":
            return value
        raise UsageError(f"{where}: {self.name} = {value!r} is not {self.type_name}")


@dataclass(frozen=True)
class Card:
    """Everything the harness knows of a method without running it.

    `module` and `path` say where its function lives, `source` is the digest of its file and of the
    methods' files it imports: an edit to either makes a new record.
    """

    name: str
    role: Role
    sees: tuple[SetSeen, ...]
    scenarios: tuple[str, ...]
    cite: str
    doc: str
    function: str
    parameters: tuple[Parameter, ...] = ()
    search: Mapping[str, Any] = field(default_factory=dict)
    module: str = ""
    path: str = ""
    source: str = ""

    def bind(self, given: Mapping[str, Any], where: str) -> dict[str, Any]:
        """All parameters with `given` over the defaults; UsageError for a wrong name or type."""
        known = {p.name: p for p in self.parameters}
        for name in given:
            if name not in known:
                raise unknown("parameter", name, known, where)
        return {n: p.check(given.get(n, p.default), where) for n, p in known.items()}


def fits(function: Callable[..., Any], name: str, value: Any, where: str) -> None:
    """UsageError naming `where` if `value` is not of the type that the function's parameter declares."""
    hint = get_type_hints(function).get(name)
    try:
        parameter = _parameter(name, hint, None, where)
    except TypeError:  # of a type of its own, or of none: the function has to look at it itself
        return
    parameter.check(value, where)


def log_uniform(low: float, high: float) -> dict[str, Any]:
    """A search range on a logarithmic scale."""
    if not 0 < low < high:
        raise ValueError(f"a logarithmic range needs 0 < low < high, got {low} and {high}")
    return {"log": [low, high]}


def choice(*values: Any) -> dict[str, Any]:
    """A search range that lists its values."""
    return {"choices": list(values)}


def _parameter(name: str, hint: Any, default: Any, where: str) -> Parameter:
    args, optional = get_args(hint), False
    if get_origin(hint) in (types.UnionType, Union) and type(None) in args:
        rest = [a for a in args if a is not type(None)]
        if len(rest) != 1:
            raise TypeError(f"{where}: parameter {name} may be one type or None, not {hint}")
        hint, optional = rest[0], True
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        return Parameter(name, type(choices[0]).__name__, default, choices, optional)
    if hint not in _KINDS:
        raise TypeError(
            f"{where}: parameter {name} needs one of the types int, float, bool, str, Literal[...], "
            f"or one of them with '| None'; it has {hint}"
        )
    return Parameter(name, _KINDS[hint], default, (), optional)


def _parameters(function: Callable[..., Any], where: str) -> tuple[Parameter, ...]:
    hints = get_type_hints(function)
    positional, found = [], []
    for p in inspect.signature(function).parameters.values():
        if p.kind is p.KEYWORD_ONLY:
            if p.default is p.empty:
                raise TypeError(f"{where}: parameter {p.name} needs a default")
            parameter = _parameter(p.name, hints.get(p.name), p.default, where)
            try:
                parameter.check(p.default, where)
            except UsageError as error:
                raise TypeError(f"the default does not fit: {error}") from None
            found.append(parameter)
        elif p.kind is p.POSITIONAL_OR_KEYWORD:
            positional.append(p.name)
        else:
            raise TypeError(f"{where}: *args and **kwargs hide parameters; name them")
    if positional != ["model", "task"]:
        raise TypeError(f"{where}: the signature starts (model, task, *, ...), not {tuple(positional)}")
    return tuple(found)


def method(
    name: str,
    *,
    sees: SetSeen | Iterable[SetSeen] = (),
    role: Role = "method",
    cite: str = "",
    scenarios: Iterable[str] = SCENARIOS,
    search: Mapping[str, Any] | None = None,
) -> Callable[[F], F]:
    """Declare an unlearning method: `function(model, task, *, hyper-parameters)`.

    The function changes `model` in place, or returns another module with K logits. Keyword-only
    parameters with types and defaults are its hyper-parameters.

    name: the row's name in tables. sees: the sets it may read, "forget" and/or "retain".
    role: "reference" for exact retraining, "baseline" for the untouched original, else "method".
    scenarios: where it applies; elsewhere its row is skipped, with the reason in the table.
    search: hyper-parameter -> `log_uniform(low, high)` or `choice(...)`, for tuning.

    Raises TypeError, naming the function, if the signature or a declaration cannot be used.
    """
    seen: tuple[Any, ...] = (sees,) if isinstance(sees, str) else tuple(sees)

    def declare(function: F) -> F:
        where = f"method {name!r} ({function.__name__})"
        for value, allowed, what in (
            *((s, ("forget", "retain"), "sees") for s in seen),
            *((s, SCENARIOS, "scenarios") for s in scenarios),
            (role, ("method", "baseline", "reference"), "role"),
        ):
            if value not in allowed:
                raise TypeError(f"{where}: {what} has {value!r}; it may hold {', '.join(allowed)}")
        parameters = _parameters(function, where)
        for key in search or {}:
            if key not in {p.name for p in parameters}:
                raise TypeError(f"{where}: search names {key!r}, which is not a parameter")
        card = Card(
            name=name,
            role=role,
            sees=seen,
            scenarios=tuple(scenarios),
            cite=cite,
            doc=inspect.getdoc(function) or inspect.getdoc(inspect.getmodule(function)) or "",
            function=function.__name__,
            parameters=parameters,
            search=dict(search or {}),
        )
        function.__mubench__ = card  # type: ignore[attr-defined]
        return function

    return declare


@dataclass(frozen=True)
class Looks:
    """What a dataset's images are like, whether they are here or not.

    shape: (C, H, W). classes: K. padding, flip: as in `mubench.data.Raw`.
    """

    shape: tuple[int, int, int]
    classes: int
    padding: int = 0
    flip: bool = False


def dataset(name: str, *, title: str = "", looks: Looks | None = None) -> Callable[[F], F]:
    """Declare a dataset: a function that returns `mubench.data.Raw` arrays.

    Its keyword-only parameters are the dataset's options, set in a suite's `data` table. looks: if they
    are always the same, `mubench speed` needs no images.
    """

    def declare(function: F) -> F:
        function.__mubench_dataset__ = (name, title or name, looks)  # type: ignore[attr-defined]
        return function

    return declare
