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
    """The sets that a method may read; "train" is for the function that `original=` names alone."""

    FORGET = "forget"
    RETAIN = "retain"
    VAL = "val"
    TRAIN = "train"


@dataclass(frozen=True)
class OwnOriginal:
    """How a method trains an original of its own kind: the function's name, and which parameters it takes."""

    function: str
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MethodSpec(Spec):
    """Everything that is known of a method without running it."""

    role: Role = Role.METHOD
    sees: tuple[SetSeen, ...] = ()
    scenarios: tuple[Scenario, ...] = tuple(Scenario)
    cite: str = ""
    search: Mapping[str, Any] = field(default_factory=dict)
    original: OwnOriginal | None = None


def method(
    name: str,
    *,
    sees: str | Iterable[str] = (),
    role: str = "method",
    cite: str = "",
    scenarios: Iterable[str] = tuple(Scenario),
    search: Mapping[str, Any] | None = None,
    original: Callable[..., Any] | None = None,
) -> Callable[[F], F]:
    """Declare an unlearning method: `function(model, task, *, hyper-parameters)`.

    The function changes `model` in place, or returns another module with K logits. Keyword-only
    parameters with types and defaults are its hyper-parameters.

    name: the row's name in tables. sees: the sets it may read, some of "forget", "retain" and "val": a
    method that reads validation images is named under the table.
    role: "reference" for exact retraining, "baseline" for the untouched original, else "method".
    scenarios: where it applies; elsewhere its row is skipped, with the reason in the table.
    search: hyper-parameter -> `log_uniform(low, high)` or `choice(...)`, for tuning.
    original: for a method that cannot start from the usual original, the function of the same file that
    trains its own kind: `function(model, task, *, some of the method's parameters)` -> a module with K
    logits, or nothing if it trained `model`, which comes untrained. It reads `task.train` alone. It runs once
    a seed, and its parameters and buffers are kept: the method gets them in the module that the function
    makes of no images at all. Of the images to retain the same function makes the Retrain that the method's
    row is compared with.

    Raises TypeError, naming the function, if the signature or a declaration cannot be used.
    """
    seen = (sees,) if isinstance(sees, str) else tuple(sees)

    def declare(function: F) -> F:
        where = f"method {name!r} ({function.__name__})"

        def member(kind: type[StrEnum], value: str, what: str) -> Any:
            allowed = [one for one in kind if one is not SetSeen.TRAIN]
            if value not in allowed:
                raise TypeError(f"{where}: {what} has {value!r}; it may hold {', '.join(allowed)}")
            return kind(value)

        parameters = parameters_of(function, where, ("model", "task"))
        for key in search or {}:
            if key not in {p.name for p in parameters}:
                raise TypeError(f"{where}: search names {key!r}, which is not a parameter")
        if original and role != Role.METHOD:
            raise TypeError(f"{where}: original= is for methods, not for the {role}")
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
            original=_own(original, function, where, [p.name for p in parameters]) if original else None,
        )
        mark(function, spec)
        return function

    return declare


def _own(
    original: Callable[..., Any], function: Callable[..., Any], where: str, known: list[str]
) -> OwnOriginal:
    """The declaration of `original=`; TypeError if it is not found by its name, or takes other parameters."""
    name = getattr(original, "__name__", "")
    if getattr(function, "__globals__", {}).get(name) is not original:
        raise TypeError(f"{where}: original= must be a function of the same file, defined or imported above")
    taken = parameters_of(original, f"{where}: original={name}", ("model", "task"), defaults=False)
    for p in taken:
        if p.name not in known:
            raise TypeError(f"{where}: original={name} takes {p.name!r}, which the method does not")
    return OwnOriginal(name, tuple(p.name for p in taken))
