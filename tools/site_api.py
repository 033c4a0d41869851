"""The reference of the Python names: signatures and docstrings of `mubench.__all__`."""

from __future__ import annotations

import inspect
import textwrap
from typing import Any

from site_text import prose

import mubench

# A signature longer than this gets a line per parameter.
_LINE = 88


class _Bare(str):
    """Text that prints itself without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


def _bare(annotation: Any) -> Any:
    return _Bare(annotation) if isinstance(annotation, str) else annotation


def signature(name: str, function: Any, method: bool = False) -> str:
    """`name(...)` with types as they are written in the source; method: without its first parameter."""
    try:
        found = inspect.signature(function)
    except (TypeError, ValueError):
        return name
    parameters = list(found.parameters.values())[1 if method else 0 :]
    back = found.empty if inspect.isclass(function) else _bare(found.return_annotation)
    bare = [p.replace(annotation=_bare(p.annotation)) for p in parameters]
    line = f"{name}{found.replace(parameters=bare, return_annotation=back)}"
    if len(line) <= _LINE:
        return line
    words = []
    for before, p in zip([None, *bare], bare, strict=False):
        kind = before.kind if before else None
        if kind is p.POSITIONAL_ONLY and p.kind is not kind:
            words.append("/")
        if p.kind is p.KEYWORD_ONLY and kind not in (p.KEYWORD_ONLY, p.VAR_POSITIONAL):
            words.append("*")
        words.append(str(p))
    lines = textwrap.indent(",\n".join(words), "    ")
    return f"{name}(\n{lines},\n){line.rpartition(')')[2]}"


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


def _members(cls: type) -> list[str]:
    """The public methods and properties that a class documents itself, in the order of its source."""
    out = []
    for name, member in vars(cls).items():
        plain = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        getter = getattr(plain, "fget", None) or getattr(plain, "func", None)  # property, cached_property
        function = getter or plain
        doc = inspect.getdoc(function) if inspect.isfunction(function) else None
        if not doc or (name.startswith("_") and name not in ("__iter__", "__call__")):
            continue
        bound = not isinstance(member, staticmethod)
        head = name if getter else signature(name, function, method=bound)
        out.append(f"{_code(head)}\n\n{prose(doc)}")
    return out


def _section(name: str) -> str:
    thing = getattr(mubench, name)
    if not (inspect.isclass(thing) or inspect.isroutine(thing)):
        return f"### {name}\n\n{_code(f'{name} = {thing!r}')}"
    parts = [f"### {name}", _code(signature(name, thing)), prose(inspect.getdoc(thing) or "")]
    if inspect.isclass(thing):
        made = vars(thing).get("__init__")
        own = made.__doc__ if made and made.__module__ == thing.__module__ else None
        parts += [prose(inspect.cleandoc(own)) if own else ""]
        parts += _members(thing)
    return "\n\n".join(part for part in parts if part)


def api_page() -> str:
    """The functions, then the classes and types, by name."""
    names = [name for name in sorted(mubench.__all__, key=str.lower) if not name.startswith("_")]
    functions = [n for n in names if inspect.isroutine(getattr(mubench, n))]
    others = [n for n in names if n not in functions]
    head = (
        "# Python\n\nThe names that `import mubench` offers ([what public means](../stability.md)). "
        "Importing it does not import torch; a name loads what it needs."
    )
    return (
        "\n\n".join(
            [head, "## Functions", *map(_section, functions), "## Classes and types", *map(_section, others)]
        )
        + "\n"
    )
