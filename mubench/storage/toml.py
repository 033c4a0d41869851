"""Plain data as TOML, for files that people read and suites load."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mubench.errors import UsageError


def toml_value(value: Any) -> str:
    """A value as TOML writes it, in one line; UsageError for what it cannot hold."""
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_text(str(k))} = {toml_value(v)}" for k, v in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if hasattr(value, "item"):  # numpy's numbers
        return toml_value(value.item())
    raise UsageError(f"a suite cannot hold {value!r:.80}; expected numbers, texts, lists and dicts")


def toml_key(name: str) -> str:
    """A key, quoted where it must be."""
    return name if name.isascii() and name.replace("-", "").replace("_", "").isalnum() else _text(name)


def _text(text: str) -> str:
    """TOML's escapes are JSON's but for surrogate pairs; what cannot be printed is escaped as well."""
    return "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in json.dumps(text, ensure_ascii=False))
