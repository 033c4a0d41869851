"""What an engine declares: `@engine` marks a class whose objects supply the workers of a run."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from mubench.api.parameter import parameters_of
from mubench.api.spec import Spec, mark

C = TypeVar("C", bound=type)


@dataclass(frozen=True, kw_only=True)
class EngineSpec(Spec):
    """Everything that is known of an engine without connecting it."""


def engine(name: str) -> Callable[[C], C]:
    """Declare an engine: a class with keyword-only options, and the methods of `running.engine.Engine`.

    name: what `--engine` calls it. Raises TypeError, naming the class, if an option cannot be used.
    """

    def declare(made: C) -> C:
        where = f"engine {name!r} ({made.__name__})"
        # the class's own docstring: its base's would stand in for a missing one
        doc = inspect.cleandoc(vars(made).get("__doc__") or "")
        start = vars(made).get("__init__")
        parameters = parameters_of(start, where, ("self",)) if start else ()
        mark(made, EngineSpec(name=name, function=made.__name__, doc=doc, parameters=parameters))
        return made

    return declare
