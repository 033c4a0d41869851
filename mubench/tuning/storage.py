"""Where a study is kept that several processes share, and what can go wrong there, in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from optuna.exceptions import OptunaError
from optuna.storages import BaseStorage, get_storage
from sqlalchemy.exc import SQLAlchemyError

from mubench.errors import UsageError, printable, quote


def open_storage(url: str) -> BaseStorage:
    """The storage at a URL of SQLAlchemy, made unless it is there; UsageError if it cannot be used."""
    shown = f"--storage {quote(_without_password(url))}"
    if re.fullmatch(r"sqlite(\+\w+)?:/{2,3}(:memory:)?", url):
        raise UsageError(f"{shown} is in memory and would be lost; write a URL such as sqlite:///tuning.db")
    try:
        return get_storage(url)
    except ModuleNotFoundError as error:
        raise UsageError(f"{shown} needs the package {error.name}, which is not installed") from error
    except (OptunaError, SQLAlchemyError, ImportError, ValueError) as error:
        raise UsageError(
            f"{shown} cannot be used: {_reason(error).rstrip('.')}; write a URL such as sqlite:///tuning.db"
        ) from error


@contextmanager
def told_in_a_line(study: str) -> Iterator[None]:
    """What a storage raises, as UsageError."""
    try:
        yield
    except (OptunaError, SQLAlchemyError, ValueError, LookupError) as error:
        raise UsageError(f"the study {printable(study)} in --storage: {_reason(error)}") from error


def _without_password(url: str) -> str:
    return re.sub(r"(://[^/@]*:)[^/@]*@", r"\1***@", url)


def _reason(error: Exception) -> str:
    root = error
    while isinstance(root.__cause__ or root.__context__, Exception):
        root = root.__cause__ or root.__context__  # type: ignore[assignment]
    return printable(next(iter(str(root).splitlines()), "") or type(root).__name__)[:200]
