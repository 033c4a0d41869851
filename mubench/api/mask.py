"""What a mask declares: `@mask` marks a function that says how far each weight of the original may move."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from mubench.api.method import SetSeen
from mubench.api.parameter import parameters_of
from mubench.api.spec import Spec, doc_of, mark

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class MaskSpec(Spec):
    """Everything that is known of a mask without making it."""

    sees: tuple[SetSeen, ...] = ()
    cite: str = ""


def mask(name: str, *, sees: str | Iterable[str] = (), cite: str = "") -> Callable[[F], F]:
    """Declare a mask: `function(model, task, *, options)` -> parameter name -> tensor in [0, 1].

    The function has an entry for every trainable parameter, of its shape, and leaves the model as it was.
    A suite's variant lays it over any method that trains by `Step`.

    name: what a suite calls it. sees: the sets it may read, "forget" and/or "retain".

    Raises TypeError, naming the function, if the signature or a declaration cannot be used.
    """
    seen = (sees,) if isinstance(sees, str) else tuple(sees)

    def declare(function: F) -> F:
        where = f"mask {name!r} ({function.__name__})"
        for one in seen:
            if one not in tuple(SetSeen):
                raise TypeError(f"{where}: sees has {one!r}; it may hold {', '.join(SetSeen)}")
        spec = MaskSpec(
            name=name,
            function=function.__name__,
            doc=doc_of(function),
            parameters=parameters_of(function, where, ("model", "task")),
            sees=tuple(SetSeen(one) for one in seen),
            cite=cite,
        )
        mark(function, spec)
        return function

    return declare
