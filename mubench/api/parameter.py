"""Hyper-parameters: their types, defaults and search ranges."""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from mubench.errors import UsageError

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
