"""`mubench new`: a plugin or suite to start from, which runs as it is, and a test beside it."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mubench.api import metric
from mubench.discovery.find import Catalogue
from mubench.discovery.suites import suite_files
from mubench.errors import UsageError, printable, quote, unknown
from mubench.storage.store import default_store

if TYPE_CHECKING:
    from rich.console import Console

TEMPLATES = Path(__file__).with_name("templates")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*([-_+][A-Za-z0-9]+)*")
# Kind -> the command that tries what was written; {plugin} names its file, where it is not installed.
KINDS = {
    "method": "mubench run{plugin}",
    "metric": "mubench run{plugin}",
    "dataset": "mubench run{plugin} --set dataset={name} --set model=small-mlp",
    "model": "mubench run{plugin} --set model={name}",
    "suite": "mubench run --suite {file} --profile small",
}


def write_new(kind: str, name: str, folder: Path, console: Console, package: bool = False) -> int:
    """Write NAME's file and its test into the folder, and print what to do next.

    package: write a folder that can be installed instead, in which both are. Raises UsageError for an unknown
    kind, an invalid or taken name, or a file that exists.
    """
    if kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    if kind == "suite" and package:
        raise UsageError("a suite is a file that mubench run takes; leave out --package")
    stem = _stem(kind, name)
    _check_free(kind, name)
    files, next_steps = (_package if package else _file)(kind, name, stem, folder)
    for path in files:
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path} exists already; give another name, or --folder")
    if not package and kind != "suite" and _hides(stem):
        raise UsageError(f"a file {stem}.py would hide the module {stem} from Python; give another name")
    for path, text in files.items():
        _write(path, text)
    first, *others = (printable(str(path)) for path in files)
    for line in (f"written: {first}", *(f"         {o}" for o in others), "next:", *next_steps):
        console.print(line)
    return 0


def _file(kind: str, name: str, stem: str, folder: Path) -> tuple[dict[Path, str], list[str]]:
    """Path -> text of a plugin's or suite's file and its test, and what to do next."""
    ending = "toml" if kind == "suite" else "py"
    file, test = folder / f"{stem}.{ending}", folder / f"test_{stem}.py"
    shown = printable(str(file))
    attempt = KINDS[kind].format(file=shown, name=name, plugin=f" --plugin {shown}")
    steps = [attempt, f"python -m pytest {printable(str(test))}"]
    if kind != "suite":
        steps.insert(0, f"mubench check {shown}")
    words = {"NAME": name, "FILE": stem, "FUNCTION": stem}
    texts = {file: f"{kind}.{ending}", test: f"{kind}_test.py"}
    return {path: _filled(template, words) for path, template in texts.items()}, [f"  {s}" for s in steps]


def _package(kind: str, name: str, stem: str, folder: Path) -> tuple[dict[Path, str], list[str]]:
    """Path -> text of what a package with the plugin holds, and what to do next."""
    module = f"mubench_{stem}"  # a method may be called torch
    package = module.replace("_", "-")
    attempt = KINDS[kind].format(name=name, plugin="")
    words = {"NAME": name, "FILE": module, "FUNCTION": stem, "PACKAGE": package, "KIND": kind, "TRY": attempt}
    texts = {
        "pyproject.toml": "package_pyproject.toml",
        "README.md": "package_readme.md",
        f"src/{module}/__init__.py": f"{kind}.py",
        f"tests/test_{stem}.py": f"{kind}_test.py",
    }
    home = folder / package
    shown = printable(str(home))
    steps = [f"pip install -e {shown}", f"mubench check {name}", attempt, f"python -m pytest {shown}"]
    return {home / path: _filled(text, words) for path, text in texts.items()}, [f"  {s}" for s in steps]


def _filled(template: str, words: dict[str, str]) -> str:
    """A template with @WORD@ replaced."""
    text = (TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text


def _stem(kind: str, name: str) -> str:
    """The name of the file and of the function in it."""
    stem = re.sub(r"[^a-z0-9]", "_", name.lower())
    if not _NAME.fullmatch(name) or len(name) > 60:
        raise UsageError(
            f"{quote(name)} is no name for a {kind}; expected letters and digits, with single -, _ or + "
            "between them, a letter first"
        )
    if keyword.iskeyword(stem):
        raise UsageError(f"{quote(name)} is a word of Python; give the {kind} another name")
    return stem


def _hides(stem: str) -> bool:
    """Whether a file of this name would be imported in place of an installed module."""
    found = importlib.util.find_spec(stem)  # of a folder that only happens to be near, one without an origin
    return stem in sys.stdlib_module_names or (found is not None and found.origin is not None)


def _check_free(kind: str, name: str) -> None:
    taken: dict[str, str]
    if kind == "metric" and metric.taken(name):
        raise UsageError(f"tables have a column {quote(name)} already; give the metric another name")
    if kind == "suite":
        taken = {suite: str(path) for suite, path in suite_files().items()}
    else:
        found = getattr(Catalogue(cache=default_store() / "specs"), f"{kind}s")
        taken = {spec.name: spec.path for spec in found.values()}
    by_case = {known.lower(): known for known in taken}
    if other := by_case.get(name.lower()):
        raise UsageError(f"there is a {kind} called {other!r} already, {taken[other]}; give another name")


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:  # never over what is there
            file.write(text)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
