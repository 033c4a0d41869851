"""`mubench new`: a plugin or suite to start from, which runs as it is, and a test beside it."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mubench.discovery.find import Catalogue
from mubench.discovery.suites import suite_files
from mubench.errors import UsageError, printable, quote, unknown
from mubench.storage.store import default_store

if TYPE_CHECKING:
    from rich.console import Console

TEMPLATES = Path(__file__).with_name("templates")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*([-_+][A-Za-z0-9]+)*")
# Kind -> the command that tries what was written.
KINDS = {
    "method": "mubench run --plugin {file}",
    "metric": "mubench run --plugin {file}",
    "dataset": "mubench run --plugin {file} --set dataset={name} --set model=small-mlp",
    "model": "mubench run --plugin {file} --set model={name}",
    "suite": "mubench run --suite {file} --profile small",
}


def write_new(kind: str, name: str, folder: Path, console: Console) -> int:
    """Write NAME's file and its test into the folder, and print what to do next.

    Raises UsageError for an unknown kind, an invalid or taken name, or a file that exists.
    """
    if kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    stem = _stem(kind, name)
    _check_free(kind, name)
    ending = "toml" if kind == "suite" else "py"
    file, test = folder / f"{stem}.{ending}", folder / f"test_{stem}.py"
    for path in (file, test):
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path} exists already; give another name, or --folder")
    for path, template in ((file, f"{kind}.{ending}.txt"), (test, f"{kind}_test.py.txt")):
        text = (TEMPLATES / template).read_text(encoding="utf-8")
        for word, value in {"@NAME@": name, "@FILE@": stem, "@FUNCTION@": stem}.items():
            text = text.replace(word, value)
        _write(path, text)
    shown = printable(str(file))
    lines = [f"written: {shown}", f"         {printable(str(test))}", "next:"]
    if kind != "suite":
        lines.append(f"  mubench check {shown}")
    lines += [f"  {KINDS[kind].format(file=shown, name=name)}", f"  python -m pytest {printable(str(test))}"]
    for line in lines:
        console.print(line)
    return 0


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


def _check_free(kind: str, name: str) -> None:
    taken: dict[str, str]
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
