"""What a plugin declares: `@method` turns a function's signature into its configuration.

The decorator returns the function unchanged, so one method can call another, and leaves a `MethodSpec`
on it: plain data that can be listed, checked and cached without running anything.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_type_hints

from mubench.api.parameter import Parameter, _parameter
from mubench.errors import UsageError, unknown

Role = Literal["method", "baseline", "reference"]
SetSeen = Literal["forget", "retain"]
SCENARIOS = ("random", "class", "indices")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class MethodSpec:
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
        spec = MethodSpec(
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
        function.__mubench__ = spec  # type: ignore[attr-defined]
        return function

    return declare
