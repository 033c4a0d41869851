"""The source of a plugin: which files it rests on, what they mean, and importing it.

A key follows the *meaning* of a source: comments, docstrings, and what `@method` declares for people and
for tuning (`cite`, `search`) can change without making a new record.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from mubench.storage.files import load_json, save_json

# Packages whose files are followed: what a plugin imports of them is part of it.
FOLLOWED = (
    "mubench.methods",
    "mubench.masks",
    "mubench.metrics",
    "mubench.datasets",
    "mubench.models",
    "mubench.api.scores",
)
# Keywords of a declaration that decide no number.
SILENT = ("cite", "search", "title", "better", "gap", "column")
DECLARATIONS = ("method", "mask", "metric", "dataset", "model", "tracker")

Imports = tuple[tuple[int, str], ...]
Read = tuple[str, Imports]
# By the SHA-256 of a file's bytes, what `_read` gives; and those of them that no memory had.
_READ: dict[str, Read] = {}
_NEW: set[str] = set()
# So many files are remembered; those of mubench are about a hundred.
_MOST = 1000


class _Meaning(ast.NodeTransformer):
    """Drops docstrings, annotations, and what declarations say for people."""

    def _body(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        body = node.body  # type: ignore[attr-defined]
        first = body[0].value if body and isinstance(body[0], ast.Expr) else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            del body[0]
        return node

    visit_Module = visit_ClassDef = _body  # noqa: N815

    def _function(self, node: ast.AST) -> ast.AST:
        node.returns = None  # type: ignore[attr-defined]
        return self._body(node)

    visit_FunctionDef = visit_AsyncFunctionDef = _function  # noqa: N815

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in DECLARATIONS:
            node.keywords = [k for k in node.keywords if k.arg not in SILENT]
        return node


def meaning(tree: ast.AST) -> str:
    """A tree as text, without what decides no number, which is taken out of it; the same for every Python."""
    return _text(_Meaning().visit(tree))


def _read(path: Path) -> Read:
    """The digest of a file's meaning, and what it imports."""
    source = path.read_bytes()
    key = hashlib.sha256(source).hexdigest()
    if key not in _READ:
        tree = ast.parse(source, str(path))
        imports = _imports(tree)
        _READ[key] = hashlib.sha256(meaning(tree).encode()).hexdigest(), imports
        _NEW.add(key)
    return _READ[key]


def recall(folder: Path) -> None:
    """Know again what an earlier process has `keep`-ed there: to parse every plugin takes 0.2 s."""
    for key, digest, imports in load_json(_memory(folder)) or ():
        _READ.setdefault(key, (digest, tuple((level, name) for level, name in imports)))


def keep(folder: Path) -> None:
    """Save what this process knows of files, if it has parsed any; nothing where it may not write."""
    if _NEW:
        _NEW.clear()
        with suppress(OSError):
            known = [(key, *read) for key, read in _READ.items()]
            save_json(_memory(folder), known[-_MOST:], lasting=False)


def _memory(folder: Path) -> Path:
    own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()  # another version may see other meanings
    return folder / f"sources-{own[:16]}.json"


def _imports(tree: ast.AST) -> Imports:
    """(level, dotted name) of all that a file imports, and of what it could be importing from there."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(0, a.name) for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += [(0, node.module), *((0, f"{node.module}.{a.name}") for a in node.names)]
        elif isinstance(node, ast.ImportFrom) and node.level == 1:
            found += [(1, n) for n in ([node.module] if node.module else [a.name for a in node.names])]
    return tuple(found)


def packages(path: Path) -> set[str]:
    """The top-level names of what `source_files(path)` import from elsewhere."""
    found = (_read(file)[1] for file in source_files(path))
    return {name.partition(".")[0] for imports in found for level, name in imports if not level}


def _text(node: Any) -> str:
    # not ast.dump: which empty fields it writes differs between versions of Python
    if isinstance(node, ast.AST):
        fields = (
            f"{name}={_text(value)}" for name, value in ast.iter_fields(node) if value not in (None, [])
        )
        return f"{type(node).__name__}({', '.join(fields)})"
    if isinstance(node, list):
        return f"[{', '.join(map(_text, node))}]"
    return repr(node)


def _folders(package: str) -> list[Path]:
    return [Path(p) for p in getattr(importlib.import_module(package), "__path__", ())]


def file_of(module: str) -> Path | None:
    """The file of a module in a followed package, by its name: to import it would import torch."""
    for package in FOLLOWED:
        if module == package and not _folders(package):
            spec = importlib.util.find_spec(package)
            return Path(spec.origin) if spec and spec.origin else None
        if module.startswith(package + "."):
            stem = module.removeprefix(package + ".").replace(".", "/")
            for folder in _folders(package):
                if (file := folder / f"{stem}.py").is_file():
                    return file
    return None


def source_files(path: Path) -> list[Path]:
    """The file and, transitively, the plugins' files it imports, sorted; none is executed."""
    todo, files = [path], set[Path]()
    while todo:
        current = todo.pop()
        if current in files:
            continue
        files.add(current)
        for level, name in _read(current)[1]:
            near = current.parent / f"{name.replace('.', '/')}.py"
            file = file_of(name) if not level else near if near.is_file() else None
            todo += [file] if file else []
    return sorted(files)


def source_digest(path: Path) -> str:
    """SHA-256 over the meaning of `source_files(path)`: by content, so the same wherever it is installed."""
    parts = sorted(_read(file)[0] for file in source_files(path))
    return hashlib.sha256(bytes.fromhex("".join(parts))).hexdigest()


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


def takes_steps(path: Path) -> bool:
    """Whether a plugin's file, or one that it imports of the plugins', names mubench's `Step` or `train`."""
    return any(
        (isinstance(node, ast.Attribute) and node.attr == "Step")
        or (
            isinstance(node, ast.ImportFrom)
            and (node.module or "").split(".")[0] == "mubench"
            and any(alias.name in ("Step", "train") for alias in node.names)
        )
        for file in source_files(path)
        for node in ast.walk(ast.parse(file.read_bytes(), str(file)))
    )
