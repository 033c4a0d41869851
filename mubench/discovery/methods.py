"""Finds the methods: built in, from installed entry points, and from files given by the user.

Importing a method imports torch (seconds), so what a file declares is cached by the digest of its
source: a run in which nothing is left to train never imports it.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import TypeAdapter

import mubench
from mubench.api.method import MethodSpec
from mubench.discovery.source import import_file, source_digest
from mubench.errors import UsageError, suggest_file, unknown
from mubench.storage.files import write_atomic
from mubench.version import NUMERICS

BUILT_IN = "mubench.methods"
GROUP = "mubench.methods"
_SPECS = TypeAdapter(list[MethodSpec])


@dataclass
class Registry:
    """The methods by name, and what could not be loaded: name -> reason."""

    methods: dict[str, MethodSpec] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def get(self, name: str, where: str = "") -> MethodSpec:
        """The spec called `name`; UsageError with the nearest name if there is none."""
        if name not in self.methods:
            raise unknown("method", name, [*self.methods, *self.broken], where)
        return self.methods[name]

    def add(self, spec: MethodSpec) -> None:
        """Take a spec in; UsageError naming both files if the name is taken."""
        other = self.methods.get(spec.name)
        if other is not None and (other.path, other.function) != (spec.path, spec.function):
            raise UsageError(f"two methods are called {spec.name!r}: {other.path} and {spec.path}")
        self.methods[spec.name] = spec

    def by_role(self, role: str) -> MethodSpec:
        """The one method with this role; UsageError if there is none or more than one."""
        found = [c for c in self.methods.values() if c.role == role]
        if len(found) != 1:
            files = ", ".join(c.path for c in found) or "none"
            raise UsageError(f"a registry needs exactly one method with the role {role!r}, found: {files}")
        return found[0]


def _file_of(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return None
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def declared(module: ModuleType) -> list[Callable[..., Any]]:
    """The methods that a module itself defines, in the order of the file."""
    return [
        value
        for value in vars(module).values()
        if isinstance(getattr(value, "__mubench__", None), MethodSpec) and value.__module__ == module.__name__
    ]


def load_function(spec: MethodSpec) -> Callable[..., Any]:
    """Import the method's function."""
    module = importlib.import_module(spec.module) if spec.module else import_file(Path(spec.path))
    function: Callable[..., Any] = getattr(module, spec.function)
    return function


def _specs(path: Path, module: str, cache: Path | None) -> list[MethodSpec]:
    digest = source_digest(path)
    name = hashlib.sha256(f"{mubench.__version__}:{NUMERICS}:{digest}".encode()).hexdigest()
    saved = cache / f"{name}.json" if cache else None
    if saved and saved.exists():
        try:
            specs = _SPECS.validate_json(saved.read_bytes())
        except ValueError:
            saved.unlink()  # a cache that cannot be read is no loss: it is rebuilt below
        else:
            return [replace(c, module=module, path=str(path)) for c in specs]
    loaded = importlib.import_module(module) if module else import_file(path)
    specs = [replace(f.__mubench__, source=digest) for f in declared(loaded)]  # type: ignore[attr-defined]
    if saved:
        with suppress(OSError):  # a full disk is no reason to call the method broken
            write_atomic(saved, _SPECS.dump_json(specs))
    return [replace(c, module=module, path=str(path)) for c in specs]


def _reason(error: BaseException, path: Path | None = None) -> str:
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    frames = [f for f in traceback.extract_tb(error.__traceback__) if path and f.filename == str(path)]
    return f"{reason} (line {frames[-1].lineno})" if frames else reason


def load_plugin(path: Path, cache: Path | None = None) -> list[MethodSpec]:
    """The methods of a user's file; UsageError if it cannot be loaded or declares none."""
    if path.is_dir():
        raise UsageError(f"plugin {path} is a folder; give a Python file")
    if not path.is_file():
        raise UsageError(f"plugin {path}: there is no such file.{suggest_file(path)}")
    try:
        specs = _specs(path.resolve(), "", cache)
    except (Exception, SystemExit) as error:
        raise UsageError(f"plugin {path} cannot be loaded: {_reason(error, path.resolve())}") from error
    if not specs:
        raise UsageError(f"plugin {path} declares no method: decorate a function with @method(name, ...)")
    return specs


def load(plugins: Sequence[Path] = (), cache: Path | None = None) -> Registry:
    """All methods; a broken installed one is noted in `broken`, a broken given one is an error."""
    registry = Registry()
    package = importlib.import_module(BUILT_IN)
    installed = [
        (file.stem, f"{BUILT_IN}.{file.stem}", file)
        for folder in package.__path__
        for file in sorted(Path(folder).glob("*.py"))
        if not file.stem.startswith("_")
    ]
    for entry in sorted(metadata.entry_points(group=GROUP), key=lambda e: e.name):
        installed.append((entry.name, entry.module, _file_of(entry.module) or Path(entry.module)))
    for name, module, file in installed:
        try:
            specs = _specs(file, module, cache)
        except (Exception, SystemExit) as error:  # a third party's file must not stop the others
            registry.broken[name] = f"{file}: {_reason(error)}"
            continue
        for spec in specs:
            registry.add(spec)
    for path in plugins:
        for spec in load_plugin(path, cache):
            registry.add(spec)
    return registry
