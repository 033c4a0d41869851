"""What a method declares: `@method` turns a function's signature into its configuration.

The decorator returns the function unchanged, so one method can call another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from mubench.api.parameter import parameters_of
from mubench.api.spec import Spec, doc_of, mark

F = TypeVar("F", bound=Callable[..., Any])


class Role(StrEnum):
    """What a row is for: exact retraining, the untouched original, or an unlearning method."""

    REFERENCE = "reference"
    BASELINE = "baseline"
    METHOD = "method"


class Scenario(StrEnum):
    """Which images are forgotten: a random share, whole classes, or those that a file lists."""

    RANDOM = "random"
    CLASS = "class"
    INDICES = "indices"


class SetSeen(StrEnum):
    """The sets that a method may read."""

    FORGET = "forget"
    RETAIN = "retain"


@dataclass(frozen=True, kw_only=True)
class MethodSpec(Spec):
    """Everything that is known of a method without running it."""

    role: Role = Role.METHOD
    sees: tuple[SetSeen, ...] = ()
    scenarios: tuple[Scenario, ...] = tuple(Scenario)
    cite: str = ""
    search: Mapping[str, Any] = field(default_factory=dict)


def method(
    name: str,
    *,
    sees: str | Iterable[str] = (),
    role: str = "method",
    cite: str = "",
    scenarios: Iterable[str] = tuple(Scenario),
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
    seen = (sees,) if isinstance(sees, str) else tuple(sees)

    def declare(function: F) -> F:
        where = f"method {name!r} ({function.__name__})"

        def member(kind: type[StrEnum], value: str, what: str) -> Any:
            if value not in tuple(kind):
                raise TypeError(f"{where}: {what} has {value!r}; it may hold {', '.join(kind)}")
            return kind(value)

        parameters = parameters_of(function, where, ("model", "task"))
        for key in search or {}:
            if key not in {p.name for p in parameters}:
                raise TypeError(f"{where}: search names {key!r}, which is not a parameter")
        spec = MethodSpec(
            name=name,
            function=function.__name__,
            doc=doc_of(function),
            parameters=parameters,
            role=member(Role, role, "role"),
            sees=tuple(member(SetSeen, s, "sees") for s in seen),
            scenarios=tuple(member(Scenario, s, "scenarios") for s in scenarios),
            cite=cite,
            search=dict(search or {}),
        )
        mark(function, spec)
        return function

    return declare
