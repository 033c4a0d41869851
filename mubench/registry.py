"""Finds the methods: built in, from installed entry points, and from files given by the user.

Importing a method imports torch (seconds), so what a file declares is cached by the digest of its
source: a run in which nothing is left to train never imports it.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import sys
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
from mubench.errors import UsageError, near_file, unknown
from mubench.plugin import Card
from mubench.store import write_atomic

BUILT_IN = "mubench.methods"
GROUP = "mubench.methods"
_CARDS = TypeAdapter(list[Card])


@dataclass
class Registry:
    """The methods by name, and what could not be loaded: name -> reason."""

    methods: dict[str, Card] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def get(self, name: str, where: str = "") -> Card:
        """The card called `name`; UsageError with the nearest name if there is none."""
        if name not in self.methods:
            raise unknown("method", name, [*self.methods, *self.broken], where)
        return self.methods[name]

    def add(self, card: Card) -> None:
        """Take a card in; UsageError naming both files if the name is taken."""
        other = self.methods.get(card.name)
        if other is not None and (other.path, other.function) != (card.path, card.function):
            raise UsageError(f"two methods are called {card.name!r}: {other.path} and {card.path}")
        self.methods[card.name] = card

    def by_role(self, role: str) -> Card:
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


def source_files(path: Path) -> list[Path]:
    """The file and, transitively, the methods' files it imports, sorted; none is executed."""
    folders = importlib.import_module(BUILT_IN).__path__
    todo, found = [path], set()
    while todo:
        current = todo.pop()
        if current in found:
            continue
        found.add(current)
        for node in ast.walk(ast.parse(current.read_bytes(), str(current))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [a.name for a in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
            elif isinstance(node, ast.ImportFrom) and node.level == 1:
                near = [node.module] if node.module else [a.name for a in node.names]
                todo += [f for n in near if (f := current.parent / f"{n.replace('.', '/')}.py").is_file()]
            # by file name, not by find_spec: that would import the method, and so torch
            stems = [n.removeprefix(BUILT_IN + ".") for n in names if n.startswith(BUILT_IN + ".")]
            todo += [f for stem in stems for d in folders if (f := Path(d) / f"{stem}.py").is_file()]
    return sorted(found)


def source_digest(path: Path) -> str:
    """SHA-256 over the contents of `source_files(path)`."""
    digest = hashlib.sha256()
    for file in source_files(path):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def import_file(path: Path) -> ModuleType:
    """Import a plugin's file under a name of its own, once unless it was edited."""
    source = path.read_bytes()
    name = "mubench_plugin_" + hashlib.sha256(str(path).encode() + source).hexdigest()[:12]
    if name in sys.modules:
        return sys.modules[name]
    # compiled from these very bytes: Python's own cache misses an edit of equal size in the same second
    code = compile(source, str(path), "exec")
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def declared(module: ModuleType) -> list[Callable[..., Any]]:
    """The methods that a module itself defines, in the order of the file."""
    return [
        value
        for value in vars(module).values()
        if isinstance(getattr(value, "__mubench__", None), Card) and value.__module__ == module.__name__
    ]


def load_function(card: Card) -> Callable[..., Any]:
    """Import the method's function."""
    module = importlib.import_module(card.module) if card.module else import_file(Path(card.path))
    function: Callable[..., Any] = getattr(module, card.function)
    return function


def _cards(path: Path, module: str, cache: Path | None) -> list[Card]:
    digest = source_digest(path)
    name = hashlib.sha256(f"{mubench.__version__}:{mubench.NUMERICS}:{digest}".encode()).hexdigest()
    saved = cache / f"{name}.json" if cache else None
    if saved and saved.exists():
        try:
            cards = _CARDS.validate_json(saved.read_bytes())
        except ValueError:
            saved.unlink()  # a cache that cannot be read is no loss: it is rebuilt below
        else:
            return [replace(c, module=module, path=str(path)) for c in cards]
    loaded = importlib.import_module(module) if module else import_file(path)
    cards = [replace(f.__mubench__, source=digest) for f in declared(loaded)]  # type: ignore[attr-defined]
    if saved:
        with suppress(OSError):  # a full disk is no reason to call the method broken
            write_atomic(saved, _CARDS.dump_json(cards))
    return [replace(c, module=module, path=str(path)) for c in cards]


def _reason(error: BaseException, path: Path | None = None) -> str:
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    frames = [f for f in traceback.extract_tb(error.__traceback__) if path and f.filename == str(path)]
    return f"{reason} (line {frames[-1].lineno})" if frames else reason


def load_plugin(path: Path, cache: Path | None = None) -> list[Card]:
    """The methods of a user's file; UsageError if it cannot be loaded or declares none."""
    if path.is_dir():
        raise UsageError(f"plugin {path} is a folder; give a Python file")
    if not path.is_file():
        raise UsageError(f"plugin {path}: there is no such file.{near_file(path)}")
    try:
        cards = _cards(path.resolve(), "", cache)
    except (Exception, SystemExit) as error:
        raise UsageError(f"plugin {path} cannot be loaded: {_reason(error, path.resolve())}") from error
    if not cards:
        raise UsageError(f"plugin {path} declares no method: decorate a function with @method(name, ...)")
    return cards


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
            cards = _cards(file, module, cache)
        except (Exception, SystemExit) as error:  # a third party's file must not stop the others
            registry.broken[name] = f"{file}: {_reason(error)}"
            continue
        for card in cards:
            registry.add(card)
    for path in plugins:
        for card in load_plugin(path, cache):
            registry.add(card)
    return registry
