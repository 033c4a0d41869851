"""Finds the plugins: built in, from installed entry points, and from files given by the user.

Methods, masks, metrics, datasets, models, engines and trackers are found the same way: every function or
class of a module that a declaration marked. Importing them takes seconds (torch), so the declarations of
mubench's own files are read from the text, and what a file declares is cached by its source: a run in which
nothing is left to train imports none of them.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar, cast

from pydantic import TypeAdapter

from mubench.api.dataset import DatasetSpec
from mubench.api.engine import EngineSpec
from mubench.api.mask import MaskSpec
from mubench.api.method import MethodSpec, Role
from mubench.api.metric import MetricSpec
from mubench.api.model import ModelSpec
from mubench.api.spec import Spec, specs_of
from mubench.api.tracker import TrackerSpec
from mubench.discovery.declarations import read_declarations
from mubench.discovery.source import import_file, keep, recall, source_digest
from mubench.errors import UsageError, suggest_file, unknown
from mubench.storage.files import load_json, save_json
from mubench.version import NUMERICS, __version__

S = TypeVar("S", bound=Spec)

# The package with the built-in plugins of a kind, and the entry-point group of installed ones.
PACKAGES: dict[type[Spec], str] = {
    MethodSpec: "mubench.methods",
    MaskSpec: "mubench.masks",
    MetricSpec: "mubench.metrics",
    DatasetSpec: "mubench.datasets",
    ModelSpec: "mubench.models",
    TrackerSpec: "mubench.trackers",
    EngineSpec: "mubench.engines",
}
_KINDS = {kind.__name__: kind for kind in PACKAGES}
# What mubench's own files declare, by their source, once this process has read them; see `declared`.
_OWN: dict[str, list[Spec]] = {}
_ADAPTERS: dict[type[Spec], TypeAdapter[Any]] = {kind: TypeAdapter(kind) for kind in PACKAGES}


@dataclass
class Found(Mapping[str, S], Generic[S]):
    """The plugins of one kind by name. `broken`: what could not be loaded -> why."""

    noun: str
    specs: dict[str, S] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> S:
        return self.specs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.specs)

    def __len__(self) -> int:
        return len(self.specs)

    def find(self, name: str, where: str = "") -> S:
        """The plugin called `name`, or whose name ends in "*" and begins it.

        UsageError with the nearest name if there is none, or naming the package that it needs.
        """
        spec = self.specs.get(name) or next(
            (s for n, s in self.specs.items() if n.endswith("*") and name.startswith(n[:-1])), None
        )
        if spec is None:
            raise unknown(self.noun, name, [*self.specs, *self.broken], where)
        if package := getattr(spec, "package", ""):
            spec = replace(spec, source=f"{spec.source}, {package} {_version(package, self.noun, name)}")
        return spec if spec.name == name else replace(spec, name=name)

    def add(self, spec: S) -> None:
        """Take a plugin in; UsageError naming both files if the name is taken."""
        other = self.specs.get(spec.name)
        if other is not None and (other.path, other.function) != (spec.path, spec.function):
            raise UsageError(f"two {self.noun}s are called {spec.name!r}: {other.path} and {spec.path}")
        self.specs[spec.name] = spec


class Catalogue:
    """All plugins by kind, each kind read when it is first asked for.

    files: a user's plugin files; each may declare plugins of several kinds. cache: folder for what
    files declare. Raises UsageError if a given file cannot be loaded or declares nothing; an installed
    module that cannot be loaded is a warning, and noted in `broken`.
    """

    def __init__(self, files: Sequence[Path] = (), cache: Path | None = None) -> None:
        self._cache = cache
        if cache:
            recall(cache)
        self._installed = metadata.entry_points()
        self.given = [spec for file in files for spec in load_plugin(file, cache)]
        self._keep()

    @cached_property
    def methods(self) -> Found[MethodSpec]:
        """The methods."""
        return self._found(MethodSpec)

    @cached_property
    def masks(self) -> Found[MaskSpec]:
        """The masks that a suite can lay over methods."""
        return self._found(MaskSpec)

    @cached_property
    def metrics(self) -> Found[MetricSpec]:
        """The metrics."""
        return self._found(MetricSpec)

    @cached_property
    def datasets(self) -> Found[DatasetSpec]:
        """The datasets."""
        return self._found(DatasetSpec)

    @cached_property
    def models(self) -> Found[ModelSpec]:
        """The models."""
        return self._found(ModelSpec)

    @cached_property
    def trackers(self) -> Found[TrackerSpec]:
        """The trackers."""
        return self._found(TrackerSpec)

    @cached_property
    def engines(self) -> Found[EngineSpec]:
        """The engines, which supply the workers of a run."""
        return self._found(EngineSpec)

    def with_role(self, role: Role) -> MethodSpec:
        """The one method with this role; UsageError if there is none or more than one."""
        holders = [m for m in self.methods.values() if m.role == role]
        if len(holders) != 1:
            files = ", ".join(m.path for m in holders) or "none"
            raise UsageError(f"exactly one method needs the role {role.value!r}, found: {files}")
        return holders[0]

    def _found(self, kind: type[S]) -> Found[S]:
        package = PACKAGES[kind]
        found = Found[S](kind.__name__.removesuffix("Spec").lower())
        modules: list[tuple[str, str, Path | None]] = [
            (file.stem, f"{package}.{file.stem}", file)
            for folder in importlib.import_module(package).__path__
            for file in sorted(Path(folder).glob("*.py"))
            if not file.stem.startswith("_")
        ]
        for entry in sorted(self._installed.select(group=package), key=lambda e: e.name):
            modules.append((entry.name, entry.module, None))
        for name, module, file in modules:
            try:
                specs = declared(file or _file_of(module), module, self._cache)
            except (Exception, SystemExit) as error:  # a third party's file must not stop the others
                reason = _reason(error)
                found.broken[name] = f"{file or module}: {reason}"
                warnings.warn(f"the {found.noun}s of {module} cannot be loaded: {reason}", stacklevel=2)
                continue
            for spec in specs:
                if isinstance(spec, kind):
                    found.add(spec)
        self._keep()
        for spec in self.given:
            if isinstance(spec, kind):
                found.add(spec)
        return found

    def _keep(self) -> None:
        if self._cache:
            keep(self._cache)


def _version(package: str, noun: str, name: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        raise UsageError(
            f"{noun} {name!r} needs the package {package}, which is not installed: pip install {package}"
        ) from None


def load_plugin(path: Path, cache: Path | None = None) -> list[Spec]:
    """The plugins of a user's file; UsageError if it cannot be loaded or declares none."""
    if path.is_dir():
        raise UsageError(f"plugin {path} is a folder; give a Python file")
    if not path.is_file():
        raise UsageError(f"plugin {path}: there is no such file.{suggest_file(path)}")
    try:
        specs = declared(path.resolve(), "", cache)
    except (Exception, SystemExit) as error:
        raise UsageError(f"plugin {path} cannot be loaded: {_reason(error, path.resolve())}") from error
    if not specs:
        raise UsageError(
            f"plugin {path} declares nothing: decorate a function with @method(name, ...), @mask, @metric, "
            "@dataset or @model"
        )
    return specs


def declared(path: Path, module: str, cache: Path | None = None) -> list[Spec]:
    """What a file declares, in the order of the file; read from the cache if its source is known there.

    module: the name to import it by, "" to load the file itself.
    """
    source = source_digest(path)
    name = hashlib.sha256(f"{__version__}:{NUMERICS}:{source}:{path.read_bytes()!r}".encode()).hexdigest()
    saved = cache / f"{name}.json" if cache else None
    specs = _restored(saved) if saved else None
    if specs is None:
        own = module.rpartition(".")[0] in PACKAGES.values()
        specs = _OWN.get(name) if own else None
        if specs is None:
            loaded = read_declarations(path, module) if own else None
            if loaded is None:
                loaded = importlib.import_module(module) if module else import_file(path)
            specs = [replace(s, source=source) for f in _functions(loaded) for s in specs_of(f)]
            if own:
                _OWN[name] = specs
        if saved:
            with suppress(OSError):  # the cache spares time; without it everything still works
                save_json(saved, [[type(s).__name__, _plain(s)] for s in specs], lasting=False)
    return [replace(s, module=module, path=str(path)) for s in specs]


def load_function(spec: Spec) -> Callable[..., Any]:
    """Import the plugin's function."""
    module = importlib.import_module(spec.module) if spec.module else import_file(Path(spec.path))
    return cast(Callable[..., Any], getattr(module, spec.function))


def _functions(module: ModuleType) -> list[Any]:
    """The declared functions that a module itself defines, each once."""
    functions = [f for f in vars(module).values() if specs_of(f) and f.__module__ == module.__name__]
    return list(dict.fromkeys(functions))


def _plain(spec: Spec) -> Any:
    return _ADAPTERS[type(spec)].dump_python(spec, mode="json")


def _restored(file: Path) -> list[Spec] | None:
    """The saved specs; None if there are none, or they are not as they were written."""
    saved = load_json(file)
    if saved is None:
        return None
    try:
        return [_ADAPTERS[_KINDS[kind]].validate_python(facts) for kind, facts in saved]
    except (ValueError, KeyError, TypeError):
        return None


def _file_of(module: str) -> Path:
    """The file of an installed module, without importing it where that is possible."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise ModuleNotFoundError(f"no Python file for the module {module!r}")
    return Path(spec.origin)


def _reason(error: BaseException, path: Path | None = None) -> str:
    reason = next(iter(f"{type(error).__name__}: {error}".splitlines()))
    frames = [f for f in traceback.extract_tb(error.__traceback__) if path and f.filename == str(path)]
    return f"{reason} (line {frames[-1].lineno})" if frames else reason
