"""Reads what a plugin's file declares without importing it, which would import torch.

The file is cut down to its declarations: the decorated functions without their bodies, and those constants
and light imports that the decorators, types and defaults name. What is left is executed, so that the
decorators themselves say what they would say of the whole file.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from mubench.discovery.source import DECLARATIONS, FOLLOWED, file_of

# Decorators that declare nothing.
_HARMLESS = ("cache", "lru_cache", "contextmanager", "dataclass", "torch.no_grad")


class _Unreadable(Exception):  # noqa: N818 - it is no error: the file is imported instead
    """What the file declares depends on more than can be read."""


def read_declarations(path: Path, module: str) -> ModuleType | None:
    """A module of the file's declared functions, marked as by importing it; None where it must be imported.

    module: its name. Nothing of the file runs but its declarations: its functions have no bodies.
    """
    try:
        return _Reader(path, module).declarations()
    except Exception:  # whatever is wrong with the file, importing it says so best
        return None


class _Reader:
    """A file taken apart: its top-level statements by the names that they bind."""

    def __init__(self, path: Path, module: str) -> None:
        self._path, self._module = path, module
        self._tree = ast.parse(path.read_bytes(), str(path))
        self._owners: dict[str, ast.stmt] = {}
        for statement in self._tree.body:
            for name in _bound(statement):
                if name in self._owners:
                    raise _Unreadable(f"{name} is bound twice")
                self._owners[name] = statement

    def declarations(self) -> ModuleType:
        """A module that holds the declared functions, in the order of the file."""
        owners = [s for s in self._tree.body if isinstance(s, ast.FunctionDef | ast.ClassDef)]
        declared = [s for s in owners if _is_declared(s) and isinstance(s, ast.FunctionDef)]
        for function in declared:
            _strip(function, ast.get_docstring(self._tree, clean=False))
        return self._execute([*declared], [name for one in declared for name in _names([one])])

    def values(self, names: Iterable[str]) -> dict[str, Any]:
        """The constants of these names."""
        return {name: vars(self._execute([], names))[name] for name in names}

    def _execute(self, chosen: list[ast.stmt], names: Iterable[str]) -> ModuleType:
        """A module made by these statements, and those that bind what they and `names` use."""
        found = ModuleType(self._module, ast.get_docstring(self._tree))
        todo = list(names)
        while todo:
            owner = self._owners.get(name := todo.pop())
            if owner is None or owner in chosen:
                continue  # a builtin, or one that is there
            if isinstance(owner, ast.Assign | ast.AnnAssign):
                todo += _names([owner])
                chosen.append(owner)
            elif isinstance(owner, ast.FunctionDef) and not owner.decorator_list:
                _strip(owner, None)  # a declaration may name one, as that which trains an original
                todo += _names([owner])
                chosen.append(owner)
            elif isinstance(owner, ast.Import | ast.ImportFrom):
                setattr(found, name, self._imported(owner, name))
            else:
                raise _Unreadable(f"line {owner.lineno}")
        future = ast.parse("from __future__ import annotations").body
        if not any(isinstance(s, ast.ImportFrom) and s.module == "__future__" for s in self._tree.body):
            future = []
        code = ast.Module([*future, *sorted(chosen, key=lambda s: s.lineno)], type_ignores=[])
        exec(compile(ast.fix_missing_locations(code), str(self._path), "exec"), found.__dict__)
        return found

    def _imported(self, statement: ast.Import | ast.ImportFrom, name: str) -> Any:
        """What the import binds to this name, if a standard module, mubench or a plugin's file holds it."""
        alias = next(a for a in statement.names if name in (a.asname, a.name))
        if isinstance(statement, ast.Import):
            module, original = alias.name, ""
        else:
            near = f"{self._module.rpartition('.')[0]}." if statement.level == 1 else ""
            module, original = f"{near}{statement.module}", alias.name
        if original and module.startswith(FOLLOWED) and (file := file_of(module)):
            return _Reader(file, module).values([original])[original]
        if module.partition(".")[0] not in {"mubench", *sys.stdlib_module_names}:
            raise _Unreadable(f"line {statement.lineno}")
        loaded = importlib.import_module(module)
        return getattr(loaded, original) if original else loaded


def _bound(statement: ast.stmt) -> list[str]:
    """The names that a top-level statement binds; `_Unreadable` for one that may do more than bind them."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        _check_installed(statement)
        return [alias.asname or alias.name.partition(".")[0] for alias in statement.names]
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign | ast.AnnAssign) and not set(_names([statement])) & set(DECLARATIONS):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return _names(targets)
    is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    is_for_types = isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"
    if is_text or is_for_types:
        return []
    raise _Unreadable(f"line {statement.lineno}")


def _check_installed(statement: ast.Import | ast.ImportFrom) -> None:
    """`_Unreadable` unless the packages are there: without them, the file is broken."""
    if isinstance(statement, ast.ImportFrom):
        modules = [] if statement.level else [statement.module or ""]
    else:
        modules = [alias.name for alias in statement.names]
    for top in {name.partition(".")[0] for name in modules} - sys.stdlib_module_names:
        if importlib.util.find_spec(top) is None:
            raise _Unreadable(f"no module named {top}")


def _is_declared(function: ast.FunctionDef | ast.ClassDef) -> bool:
    """Whether it is declared; `_Unreadable` where something else decorates it that might declare it too."""
    names = [ast.unparse(d.func if isinstance(d, ast.Call) else d) for d in function.decorator_list]
    if isinstance(function, ast.FunctionDef) and len(names) == 1 and names[0] in DECLARATIONS:
        return True
    if set(names) <= set(_HARMLESS):
        return False
    raise _Unreadable(f"line {function.lineno}")


def _strip(function: ast.FunctionDef, module_doc: str | None) -> None:
    """Leave nothing of the function but its declaration, docstring, and signature."""
    doc = ast.get_docstring(function, clean=False) or module_doc
    function.body = [ast.Expr(ast.Constant(doc))] if doc else [ast.Pass()]
    function.returns = None
    for argument in (*function.args.posonlyargs, *function.args.args):
        argument.annotation = None


def _names(nodes: Iterable[ast.AST]) -> list[str]:
    return [n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name)]
