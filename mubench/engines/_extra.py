"""Packages that an engine needs and mubench does not."""

from __future__ import annotations

from importlib.util import find_spec

from mubench.errors import UsageError


def need(package: str, extra: str) -> None:
    """UsageError that says what to install, if the package is not."""
    if find_spec(package) is None:
        raise UsageError(
            f"--engine {extra} needs {package}, which is not installed: pip install 'mubench[{extra}]'"
        )
