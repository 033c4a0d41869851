"""What a model declares: `@model` marks a function from the number of channels to a backbone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from mubench.api.parameter import parameters_of
from mubench.api.spec import Spec, doc_of, mark

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class ModelSpec(Spec):
    """Everything that is known of a model without building it.

    family: whether one function builds models of several names, and takes the name as `name`. package: what
    must be installed to build it, as pip names it; its version is part of the source.
    """

    family: bool = False
    package: str = ""


def model(*names: str, package: str = "") -> Callable[[F], F]:
    """Declare a model: `function(channels)` -> (backbone, width).

    The backbone is a module that maps images (b, channels, H, W) to features (b, width); the harness adds
    normalisation and a linear head. With several names the function builds a family and takes the one
    that is wanted as `name`: `function(channels, *, name: str)`. So it does with a name that ends in "*":
    every name that begins so is the function's. package: what must be installed to build the model, if that
    is more than mubench needs.

    Raises TypeError, naming the function, if the signature cannot be used.
    """

    def declare(function: F) -> F:
        where = f"model {', '.join(map(repr, names[:3]))} ({function.__name__})"
        family = len(names) > 1 or any(name.endswith("*") for name in names)
        parameters = [p.name for p in parameters_of(function, where, ("channels",), defaults=False)]
        if not names or parameters != ["name"] * family:
            raise TypeError(f"{where}: the signature is (channels{', *, name: str' * family})")
        specs = [
            ModelSpec(
                name=n, function=function.__name__, doc=doc_of(function), family=family, package=package
            )
            for n in names
        ]
        mark(function, *specs)
        return function

    return declare
