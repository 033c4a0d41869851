"""A function or class of a script or notebook as a plugin's file of its own.

Cells run in processes that know nothing of the script, and keys follow sources. So what a function is made
of is written down: its source, and that of the user's functions, classes and constants that it names.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import dis
import importlib
import inspect
import linecache
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from mubench.api.spec import specs_of
from mubench.discovery.source import DECLARATIONS
from mubench.errors import UsageError

_HEAD = "from __future__ import annotations\n"
_LOADS = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")


def self_contained(root: Any, more: str = "") -> str:
    """The text of a file that holds `root` with all it names, and `more` at the end.

    Of an installed package, what is named is imported; of the user's own code it is copied, function by
    function. Raises UsageError for what has no source, such as a lambda or what was typed at the plain
    interpreter, for a name that is nowhere, such as an import of the function around a declaration, and for
    a named value that is no constant, such as an array.
    """
    writer = _Writer(root)
    writer.add(root.__name__, root, f"{noun_of(root)} {root.__name__!r}")
    return "\n".join([_HEAD, *writer.parts, *([more] if more else [])]).rstrip() + "\n"


def noun_of(thing: Any) -> str:
    """What a message calls it: "method", ..., else "class" or "function"."""
    specs = specs_of(thing)
    return specs[0].noun if specs else "class" if inspect.isclass(thing) else "function"


class _Writer:
    """The parts of the file, what is named before what names it."""

    def __init__(self, root: Any) -> None:
        self.root, self.parts = root, list[str]()
        self._known: dict[str, Any] = {}

    def add(self, name: str, value: Any, user: str) -> None:
        """Write down what `user` calls `name`."""
        if name in self._known:
            if self._known[name] is not value and self._known[name] != value:
                raise UsageError(f"{user}: two different things are called {name!r}; rename one of them")
            return
        self._known[name] = value
        if isinstance(value, ModuleType):
            if not _installed(value.__name__):
                raise UsageError(
                    f"{user} uses the module {name!r}, a file of yours that other processes may not find; "
                    f"name what it takes: from {value.__name__} import ..."
                )
            self.parts.append(f"import {value.__name__} as {name}")
        elif isinstance(value, FunctionType | type) and not _installed(value.__module__):
            self._define(name, value)
        elif _is_constant(value):
            self.parts.append(f"{name} = {value!r}")
        elif home := _home(name, value):
            self.parts.append(f"from {home[0]} import {home[1]} as {name}")
        else:
            raise UsageError(
                f"{user} uses {name!r}, of type {type(value).__name__}, which is not part of its source; "
                "make it inside the function"
            )

    def _define(self, name: str, value: Any) -> None:
        user = f"{noun_of(value)} {value.__name__!r}"
        source = _source(value, user)
        if value is not self.root and specs_of(value):
            source = _undeclared(source)  # a helper here; the row is of another file
        scope = _scope(value)
        for used in sorted(_names(compile(source, "<own>", "exec", dont_inherit=True))):
            if used in scope:
                self.add(used, scope[used], user)
        # annotations stay texts in the file: what only they name may be missing
        needed = {*_names(compile(source, "<own>", "exec", __future__.annotations.compiler_flag, True))}
        if lost := sorted(needed - {*scope, *vars(builtins), value.__name__}):
            raise UsageError(
                f"{user} uses {lost[0]!r}, which its module lacks: import or define it at the top of the "
                "module, or inside the function if only its body uses it"
            )
        self.parts.append(source)
        if name != value.__name__:
            self.parts.append(f"{name} = {value.__name__}")


def _installed(module: str | None) -> bool:
    """Whether any process can import it: the standard library, mubench, what lies in site-packages."""
    root = (module or "").partition(".")[0]
    if root == "__main__":
        return False
    if root in ("mubench", *sys.builtin_module_names, *sys.stdlib_module_names):
        return True
    file = getattr(sys.modules.get(module or ""), "__file__", None)
    return file is not None and bool({"site-packages", "dist-packages"} & {*Path(file).parts})


def _home(name: str, value: Any) -> tuple[str, str] | None:
    """(module, name there) of what an installed package holds."""
    own = getattr(value, "__module__", None)
    said = getattr(value, "__qualname__", None) or getattr(value, "_name", None)
    for module, known in ((own, said), (own, name), *((m, name) for m in sorted(sys.modules, key=len))):
        if isinstance(module, str) and isinstance(known, str) and known.isidentifier() and _installed(module):
            held = vars(sys.modules[module]).get(known) if module in sys.modules else None
            if held is value:
                return module, known
    return None


def _is_constant(value: Any) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False


def _source(value: Any, user: str) -> str:
    """The text of a definition, without indentation."""
    try:
        if value.__name__ == "<lambda>":
            raise OSError
        text = _class_source(value) if inspect.isclass(value) else inspect.getsource(value)
        source = textwrap.dedent(text)
        (node,) = ast.parse(source).body
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name != value.__name__:
            raise ValueError
    except (OSError, TypeError, ValueError, SyntaxError):
        raise UsageError(
            f"{user} has no source: define it by def or class in a file or in a cell of a notebook, not by "
            "lambda, exec or at the plain interpreter"
        ) from None
    return source


def _class_source(cls: type) -> str:
    """As inspect.getsource, which does not know the classes of notebooks."""
    methods = [f for f in vars(cls).values() if isinstance(f, FunctionType)]
    for code in (f.__code__ for f in methods if f.__module__ == cls.__module__):
        lines = linecache.getlines(code.co_filename)
        for node in ast.walk(ast.parse("".join(lines))):
            if isinstance(node, ast.ClassDef) and node.name == cls.__name__ and node.end_lineno:
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                if first <= code.co_firstlineno <= node.end_lineno:
                    return "".join(lines[first - 1 : node.end_lineno])
    return inspect.getsource(cls)


def _undeclared(source: str) -> str:
    """The source without `@method(...)` and its like."""
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.FunctionDef)
    dropped: set[int] = set()
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        word = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        if word in DECLARATIONS:
            dropped |= {*range(decorator.lineno, (decorator.end_lineno or decorator.lineno) + 1)}
    lines = source.splitlines(keepends=True)
    return "".join(line for number, line in enumerate(lines, 1) if number not in dropped)


def _scope(value: Any) -> Mapping[str, Any]:
    """What the names in a definition stand for."""
    functions = [value, *(vars(value).values() if inspect.isclass(value) else ())]
    scope: dict[str, Any] = {}
    scope |= vars(importlib.import_module(value.__module__)) if value.__module__ in sys.modules else {}
    for function in map(inspect.unwrap, (f for f in functions if isinstance(f, FunctionType))):
        scope |= function.__globals__
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        for name, cell in cells:
            if name != "__class__":
                scope[name] = cell.cell_contents
    return {name: held for name, held in scope.items() if getattr(builtins, name, scope) is not held}


def _names(code: CodeType) -> Iterator[str]:
    """The names that code takes from outside itself."""
    steps = [(i.opname, i.argval) for i in dis.get_instructions(code)]
    kept = {name for opname, name in steps if opname == "STORE_NAME"}
    found = {name for opname, name in steps if opname in _LOADS and not name.startswith("__")}
    yield from found - kept
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _names(part)
