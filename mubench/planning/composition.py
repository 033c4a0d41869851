"""A row that is put together: a method under a mask, and another method run on what it leaves.

A row without either has no facts here, so that its key says nothing of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mubench.api.mask import MaskSpec
from mubench.api.method import MethodSpec, Role, SetSeen
from mubench.discovery.find import Catalogue
from mubench.discovery.source import takes_steps
from mubench.errors import UsageError, error_context
from mubench.planning.suite import Suite
from mubench.planning.variant import Variant


@dataclass(frozen=True)
class Masked:
    """A mask and its options, all of them."""

    spec: MaskSpec
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Then:
    """The method that goes on from another's result, and its parameters, all of them."""

    spec: MethodSpec
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Composition:
    """What a row has beside its method: a mask under which it runs, a method that runs after it."""

    mask: Masked | None = None
    then: Then | None = None

    @cached_property
    def parts(self) -> dict[str, Masked | Then]:
        """Those that there are, by the suite's word for them."""
        return {word: part for word, part in (("mask", self.mask), ("then", self.then)) if part is not None}

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What decides an outcome; nothing of a plain row."""
        return {
            word: {"source": [part.spec.source, part.spec.function], "parameters": part.parameters}
            for word, part in self.parts.items()
        }

    @property
    def about(self) -> dict[str, Any]:
        """What a record says; nothing of a plain row."""
        return {
            word: {"name": part.spec.name, "parameters": part.parameters} for word, part in self.parts.items()
        }

    @property
    def shown(self) -> dict[str, Any]:
        """As parameters of the row: `mask`, `mask rho`, `then`, `then lr`; nothing of a plain row."""
        lines: dict[str, Any] = {}
        for word, part in self.parts.items():
            lines |= {word: part.spec.name, **{f"{word} {key}": v for key, v in part.parameters.items()}}
        return lines

    def sees(self, base: MethodSpec) -> tuple[SetSeen, ...]:
        """The sets that the row reads: those of the method `base` and of every part."""
        return tuple(
            dict.fromkeys(s for one in (base, *(p.spec for p in self.parts.values())) for s in one.sees)
        )

    def why_not(self, base: MethodSpec, scenario: str) -> str:
        """Why the row does not apply to this kind of forgetting; "" if it does."""
        for spec in (base, *([self.then.spec] if self.then else [])):
            if scenario not in spec.scenarios:
                who = "" if spec is base else f"{spec.name} is "
                return f"{who}not for {scenario} forgetting, only {', '.join(spec.scenarios)}"
        return ""


# A row that is one method and nothing else.
PLAIN = Composition()


def compose(
    variant: Variant, base: MethodSpec, suite: Suite, catalogue: Catalogue, place: str
) -> Composition:
    """What the variant of `base` names, found and checked.

    A method after another has the suite's parameters for it, under the variant's. Raises UsageError, naming
    `place`, for an unknown name or option, a part of a row that is no method, or a mask over a method that
    takes no `Step`.
    """
    words = [word for word in ("mask", "then") if getattr(variant, word) is not None]
    if words and base.role is not Role.METHOD:
        raise UsageError(f"{place}: {words[0]} needs a method as base; {base.name} is the {base.role.value}")
    if words and base.original:
        raise UsageError(
            f"{place}: {words[0]} needs a method that starts from the usual original; {base.name} trains "
            "one of its own"
        )
    masked = then = None
    if variant.mask is not None:
        with error_context(place):
            mask = catalogue.masks.find(variant.mask.name)
        if not takes_steps(Path(base.path)):
            raise UsageError(
                f"{place}: mask = {mask.name!r} needs a method that trains by Step; {base.name} takes none"
            )
        masked = Masked(mask, mask.bind(variant.mask.parameters, f"{place}: mask {mask.name!r}"))
    if variant.then is not None:
        spec = catalogue.methods.find(variant.then.name, place)
        if spec.role is not Role.METHOD:
            raise UsageError(f"{place}: then = {spec.name!r} names the {spec.role.value}, not a method")
        if spec.original:
            raise UsageError(
                f"{place}: then = {spec.name!r} names a method that needs an original of its own"
            )
        given = {**suite.methods.get(spec.name, {}), **variant.then.parameters}
        then = Then(spec, spec.bind(given, f"{place}: then {spec.name!r}"))
    return Composition(masked, then)
