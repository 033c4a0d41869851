"""What a declaration leaves on a plugin's function: plain data that can be listed, checked and cached."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mubench.api.parameter import Parameter
from mubench.errors import UsageError, unknown

# The attribute of a declared function that holds its specs.
MARK = "__mubench__"


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One plugin, known without running it.

    function: its name in its module. module: where it is imported from, "" if it is the file `path`.
    source: digest of what its file, and the plugins' files that it imports, mean; see
    `mubench.discovery.source`.
    """

    name: str
    function: str
    doc: str = ""
    parameters: tuple[Parameter, ...] = ()
    module: str = ""
    path: str = ""
    source: str = ""

    @property
    def noun(self) -> str:
        """ "method", "metric", "dataset" or "model"."""
        return type(self).__name__.removesuffix("Spec").lower()

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return next(iter(self.doc.strip().splitlines()), "")

    def bind(self, given: Mapping[str, Any], where: str) -> dict[str, Any]:
        """All parameters with `given` over the defaults; UsageError for a wrong name or type."""
        declared = {p.name: p for p in self.parameters}
        for name in given:
            if name not in declared:
                raise unknown("parameter", name, declared, where)
        for p in self.parameters:
            if p.required and p.name not in given:
                raise UsageError(f"{where}: {p.name} is missing; it is of type {p.type_name}")
        return {n: p.check(given.get(n, p.default), where) for n, p in declared.items()}


def mark(function: Callable[..., Any], *specs: Spec) -> None:
    """Leave the specs on their function."""
    setattr(function, MARK, specs)


def specs_of(function: Any) -> tuple[Spec, ...]:
    """The specs of a declared function; none for anything else."""
    specs = getattr(function, MARK, ())
    return specs if isinstance(specs, tuple) and all(isinstance(s, Spec) for s in specs) else ()


def doc_of(function: Callable[..., Any]) -> str:
    """The function's docstring, or else its module's."""
    return inspect.getdoc(function) or inspect.getdoc(inspect.getmodule(function)) or ""
