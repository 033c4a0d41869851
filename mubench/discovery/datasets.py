"""The datasets by name."""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from mubench.api.dataset import ImageSpec, Raw
from mubench.errors import UsageError

GROUP = "mubench.datasets"


REQUIRED = "required"


@dataclass(frozen=True)
class Source:
    """A dataset's function and where it lives."""

    name: str
    title: str
    function: Callable[..., Raw]
    file: Path
    # of the files behind it, where these may change: the same options may then mean other images
    fingerprint: Callable[..., str] | None = None
    looks: ImageSpec | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Option -> default, `REQUIRED` where there is none."""
        parameters = inspect.signature(self.function).parameters.values()
        return {p.name: REQUIRED if p.default is p.empty else p.default for p in parameters}


def datasets() -> dict[str, Source]:
    """All datasets by name; UsageError naming both files if two share a name."""
    package = importlib.import_module("mubench.datasets")
    modules = [
        f"{package.__name__}.{f.stem}"
        for folder in package.__path__
        for f in sorted(Path(folder).glob("*.py"))
        if not f.stem.startswith("_")
    ]
    installed = [e.module for e in sorted(metadata.entry_points(group=GROUP), key=lambda e: e.name)]
    found: dict[str, Source] = {}
    for name in [*modules, *installed]:
        try:
            module = importlib.import_module(name)
        except Exception as error:
            if name not in installed:
                raise
            # somebody else's: it must not keep everything else from working
            warnings.warn(f"the datasets of {name} cannot be loaded: {error!r}", stacklevel=2)
            continue
        for function in vars(module).values():
            label = getattr(function, "__mubench_dataset__", None)
            if label is None or function.__module__ != name:
                continue
            mark = getattr(module, "fingerprint", None)
            source = Source(label[0], label[1], function, Path(inspect.getfile(function)), mark, label[2])
            if source.name in found:
                raise UsageError(
                    f"two datasets are called {source.name!r}: {found[source.name].file} and {source.file}"
                )
            found[source.name] = source
    return found
