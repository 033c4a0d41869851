"""Where a study is kept that several processes share, and what can go wrong there, in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from optuna.exceptions import OptunaError
from optuna.storages import BaseStorage, get_storage
from sqlalchemy.exc import SQLAlchemyError

from mubench.errors import UsageError, printable


def open_storage(url: str) -> BaseStorage:
    """The storage at a URL of SQLAlchemy, made unless it is there; UsageError if it cannot be used."""
    try:
        return get_storage(url)
    except (OptunaError, SQLAlchemyError, ImportError, ValueError) as error:
        raise UsageError(
            f"--storage {printable(_without_password(url))} cannot be used: {_reason(error)}; "
            "write a URL such as sqlite:///tuning.db"
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
