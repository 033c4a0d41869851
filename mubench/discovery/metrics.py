"""Finds the metrics: in this folder, from installed entry points, and in files given by the user."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import ModuleType

from mubench.api.metric import Metric
from mubench.discovery.source import source_digest
from mubench.errors import UsageError

GROUP = "mubench.metrics"
_PACKAGE = "mubench.metrics"


def all_metrics(extra_files: Sequence[Path] = ()) -> dict[str, Metric]:
    """All metrics by name: this package's, then installed ones, then those of `extra_files`.

    An installed package that cannot be imported is a warning: it must not stop the others. Raises
    UsageError if a given file cannot be loaded or declares no metric, or if two metrics have one
    name (naming both files).
    """
    found: dict[str, Metric] = {}
    for module in _built_in():
        _add(found, _declared(module))
    for entry in sorted(metadata.entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
        try:
            metrics = _declared(importlib.import_module(entry.module))
        except Exception as error:
            warnings.warn(f"metrics of {entry.value} cannot be loaded: {_reason(error)}", stacklevel=2)
            continue
        _add(found, metrics)
    for path in extra_files:
        _add(found, _from_file(path))
    return found


def _built_in() -> list[ModuleType]:
    package = importlib.import_module(_PACKAGE)
    names = sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))
    return [importlib.import_module(f"{_PACKAGE}.{name}") for name in names]


def _from_file(path: Path) -> list[Metric]:
    # Here and not above: the registry brings pydantic, which reading one metric does not need.
    from mubench.discovery.source import import_file

    if not path.is_file():
        raise UsageError(f"metric file {path}: there is no such file")
    try:
        metrics = _declared(import_file(path.resolve()))
    except (Exception, SystemExit) as error:
        raise UsageError(f"metric file {path} cannot be loaded: {_reason(error)}") from error
    if not metrics:
        raise UsageError(f"metric file {path} declares none: decorate a function with @metric(name, ...)")
    return metrics


def _declared(module: ModuleType) -> list[Metric]:
    """The metrics that a module itself defines, in the order of the file; imported ones do not count."""
    marked = ((getattr(value, "__mubench_metric__", None), value) for value in vars(module).values())
    return [
        replace(m, source=source_digest(Path(m.file)))
        for m, value in marked
        if isinstance(m, Metric) and value.__module__ == module.__name__
    ]


def _add(found: dict[str, Metric], metrics: Sequence[Metric]) -> None:
    for new in metrics:
        old = found.setdefault(new.name, new)
        # One file reached by two ways is one metric.
        if (old.file, old.function.__name__) != (new.file, new.function.__name__):
            raise UsageError(f"two metrics are called {new.name!r}: {old.file} and {new.file}")


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
