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
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

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


def meaning(source: bytes, name: str = "<plugin>") -> str:
    """The source's syntax tree as text, without what decides no number; the same for every Python."""
    return _text(_Meaning().visit(ast.parse(source, name)))


@cache
def _digest(source: bytes, name: str) -> bytes:
    """SHA-256 of the meaning."""
    return hashlib.sha256(meaning(source, name).encode()).digest()


@cache
def _imports(source: bytes, name: str) -> tuple[tuple[int, str], ...]:
    """(level, dotted name) of all that the source imports, and of what it could be importing from there."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(source, name)):
        if isinstance(node, ast.Import):
            found += [(0, a.name) for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += [(0, node.module), *((0, f"{node.module}.{a.name}") for a in node.names)]
        elif isinstance(node, ast.ImportFrom) and node.level == 1:
            found += [(1, n) for n in ([node.module] if node.module else [a.name for a in node.names])]
    return tuple(found)


def packages(path: Path) -> set[str]:
    """The top-level names of what `source_files(path)` import from elsewhere."""
    found = (_imports(file.read_bytes(), str(file)) for file in source_files(path))
    return {name.partition(".")[0] for of_file in found for level, name in of_file if not level}


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
        for level, name in _imports(current.read_bytes(), str(current)):
            near = current.parent / f"{name.replace('.', '/')}.py"
            file = file_of(name) if not level else near if near.is_file() else None
            todo += [file] if file else []
    return sorted(files)


def source_digest(path: Path) -> str:
    """SHA-256 over the meaning of `source_files(path)`: by content, so the same wherever it is installed."""
    parts = sorted(_digest(f.read_bytes(), str(f)) for f in source_files(path))
    return hashlib.sha256(b"".join(parts)).hexdigest()


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
