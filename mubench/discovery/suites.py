"""Finds the suites: those of the package `mubench.benchmarks`, and installed ones.

A suite is a TOML file. A package of other people's suites names itself under the entry-point group
`mubench.suites`; every TOML file beside its `__init__.py` is a suite.
"""

from __future__ import annotations

import importlib.util
from importlib import metadata
from pathlib import Path

from mubench.errors import UsageError

BUILT_IN = "mubench.benchmarks"
GROUP = "mubench.suites"


def suite_files() -> dict[str, Path]:
    """Name -> file of every suite; UsageError naming both files if two have one name."""
    files: dict[str, Path] = {}
    packages = [
        BUILT_IN,
        *(e.module for e in sorted(metadata.entry_points(group=GROUP), key=lambda e: e.name)),
    ]
    for package in packages:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            for file in sorted(Path(folder).glob("*.toml")):
                if files.setdefault(file.stem, file) != file:
                    raise UsageError(f"two suites are called {file.stem!r}: {files[file.stem]} and {file}")
    return files
