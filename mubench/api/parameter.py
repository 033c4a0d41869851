"""Parameters of a plugin: their types, defaults and search ranges, checked by pydantic.

Every kind of plugin declares its parameters the same way: keyword-only arguments with a type.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import AllowInfNan, ConfigDict, TypeAdapter, ValidationError

from mubench.errors import UsageError

# The default of a parameter that has none.
REQUIRED = "<required>"
_KINDS: dict[Any, str] = {bool: "bool", int: "int", float: "float", str: "str"}
_HINTS: dict[str, Any] = {
    "bool": bool,
    "int": int,
    "float": Annotated[float, AllowInfNan(False)],
    "str": str,
}


@lru_cache
def _adapter(kind: str, choices: tuple[Any, ...], optional: bool) -> TypeAdapter[Any]:
    hint: Any = Literal[choices] if choices else _HINTS[kind]
    hint = Union[hint, None] if optional else hint  # noqa: UP007
    return TypeAdapter(hint, config=ConfigDict(strict=True))


@dataclass(frozen=True)
class Parameter:
    """One parameter: its name, type, default and, if it is a choice, what may be chosen."""

    name: str
    kind: str
    default: Any = REQUIRED
    choices: tuple[Any, ...] = ()
    optional: bool = False

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return isinstance(self.default, str) and self.default == REQUIRED

    @property
    def type_name(self) -> str:
        """The type as a person would write it."""
        base = " | ".join(repr(c) for c in self.choices) if self.choices else self.kind
        return f"{base} | None" if self.optional else base

    def check(self, value: Any, where: str) -> Any:
        """`value` as this parameter's type; UsageError naming `where` if it is not one.

        No type is converted, except that a whole number is a float. Infinity and NaN are no numbers.
        """
        try:
            return _adapter(self.kind, tuple(self.choices), self.optional).validate_python(value)
        except (ValidationError, OverflowError, ValueError):
            shown = repr(value)
            shown = shown if len(shown) <= 80 else shown[:77] + "..."
            raise UsageError(f"{where}: {self.name} = {shown} is not {self.type_name}") from None


def parameters_of(
    function: Callable[..., Any], where: str, positional: Sequence[str], *, defaults: bool = True
) -> tuple[Parameter, ...]:
    """The keyword-only parameters of a plugin's function.

    positional: the names of the arguments that it is called with. defaults: whether every parameter
    needs one. Raises TypeError, naming `where`, if the signature or a default cannot be used.
    """
    hints = get_type_hints(function)
    names: list[str] = []
    parameters: list[Parameter] = []
    for p in inspect.signature(function).parameters.values():
        if p.kind is p.KEYWORD_ONLY:
            if p.default is p.empty and defaults:
                raise TypeError(f"{where}: parameter {p.name} needs a default")
            parameters.append(_parameter(p, hints.get(p.name), where))
        elif p.kind in (p.POSITIONAL_OR_KEYWORD, p.POSITIONAL_ONLY):
            names.append(p.name)
        else:
            raise TypeError(f"{where}: *args and **kwargs hide parameters; name them")
    if len(names) != len(positional):
        start = ", ".join([*positional, *(["*, ..."] if positional else [])])
        raise TypeError(f"{where}: the signature starts ({start}), not ({', '.join(names)})")
    return tuple(parameters)


def _parameter(p: inspect.Parameter, hint: Any, where: str) -> Parameter:
    args, optional = get_args(hint), False
    if get_origin(hint) in (types.UnionType, Union) and type(None) in args:
        rest = [a for a in args if a is not type(None)]
        hint, optional = rest[0] if len(rest) == 1 else hint, True
    choices = get_args(hint) if get_origin(hint) is Literal else ()
    if not choices and hint not in _KINDS:
        shown = "no type" if hint is None else str(hint)
        raise TypeError(
            f"{where}: parameter {p.name} needs one of the types int, float, bool, str, Literal[...], "
            f"or one of them with '| None'; it has {shown}"
        )
    kind = type(choices[0]).__name__ if choices else _KINDS[hint]
    default = REQUIRED if p.default is p.empty else p.default
    parameter = Parameter(p.name, kind, default, choices, optional)
    if not parameter.required:
        try:
            parameter.check(default, where)
        except UsageError as error:
            raise TypeError(f"the default does not fit: {error}") from None
    return parameter


def log_uniform(low: float, high: float) -> dict[str, Any]:
    """A search range on a logarithmic scale."""
    if not 0 < low < high:
        raise ValueError(f"a logarithmic range needs 0 < low < high, got {low} and {high}")
    return {"log": [low, high]}


def choice(*values: Any) -> dict[str, Any]:
    """A search range that lists its values."""
    return {"choices": list(values)}
