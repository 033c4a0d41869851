"""What a store holds, by kind: how many, how large, and what is not as it was written. Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mubench.storage.files import load_json
from mubench.storage.journal import FOLDER as IMPORTS
from mubench.storage.store import ABOUT, DAMAGE, WEIGHTS, read_record

# Kind -> what it is; the folder of that name, but for those of records.
KINDS = {
    "records": "outputs and cost of finished cells",
    "originals": "weights of original models",
    "data": "datasets as arrays",
    "splits": "which images were for what",
    "metrics": "numbers computed from records",
    "said": "what many records say, in one file",
    "logs": "what cells printed",
    "failures": "why cells failed",
    "timings": "what cells took",
    "rates": "measured speeds",
    "specs": "what plugins declare",
    "suites": "suites written in Python",
    "plugins": "plugins written in Python",
    "arrays": "data given in Python",
    "indices": "forget sets given in Python",
    "references": "numbers of imported runs",
    "damaged": "damaged records, set aside",
    "unfinished": "left by what was killed, or being written",
    "locks": "of cells",
    "running": "what running processes work on",
    "other": "not of mubench",
}
# The folder of the jobs that an engine has submitted; each takes its own away.
JOBS = "jobs"
# Folders in which everything is on its way.
_PASSING = (IMPORTS, JOBS)
# Kinds whose files hold their own digest.
DIGESTED = ("metrics", "said", "failures", "timings", "rates", "specs")
# Kind -> raises, saying what is wrong, if the file or folder is not as it was written.
Checks = Mapping[str, Callable[[Path], object]]


@dataclass
class Kind:
    """How much there is of a kind. paths: the files or folders. damaged: path -> what is wrong with it.

    checked: whether there is a digest to check them by.
    """

    paths: list[Path] = field(default_factory=list)
    size: int = 0
    damaged: dict[Path, str] = field(default_factory=dict)
    checked: bool = False


def size_of(path: Path) -> int:
    """Bytes of a file or of all files in a folder; links are not followed, what vanishes counts 0."""
    try:
        if path.is_symlink() or not path.is_dir():
            return path.lstat().st_size
        with os.scandir(path) as entries:
            return sum(size_of(Path(entry.path)) for entry in entries)
    except OSError:
        return 0


def take_stock(root: Path) -> dict[str, Kind]:
    """All that is in the store, by kind, sized but not checked; kinds without anything are left out."""
    found: dict[str, Kind] = {kind: Kind() for kind in KINDS}
    for kind, path in _contents(root):
        found[kind].paths.append(path)
        found[kind].size += size_of(path)
    return {kind: of for kind, of in found.items() if of.paths}


def _contents(root: Path) -> Iterator[tuple[str, Path]]:
    """Each thing in the store and its kind."""
    if not root.is_dir():
        return
    for folder in sorted(root.iterdir()):
        name = folder.name
        if not folder.is_dir() or name not in (*KINDS, *_PASSING):
            yield "other", folder
            continue
        for path in sorted(folder.iterdir()):
            if name in _PASSING or path.name.startswith(".") or ".tmp" in path.name or ".bad-" in path.name:
                yield "unfinished", path
            elif name == "records":
                yield from _records(path)
            elif name == "running" or path.suffix != ".lock":
                yield name, path
            else:
                yield "locks", path


def _records(folder: Path) -> Iterator[tuple[str, Path]]:
    """Those in the folder of the first digits of their keys."""
    if not folder.is_dir():
        yield "other", folder
        return
    for path in sorted(folder.iterdir()):
        yield "originals" if (path / WEIGHTS).exists() else "records", path


def check_record(folder: Path) -> None:
    """One of DAMAGE unless the record is as it was written and has the key that its folder says."""
    about, _ = read_record(folder)
    if about["key"] != folder.name:
        raise ValueError(f"{ABOUT} is of another record")


def _check_json(path: Path) -> None:
    if load_json(path) is None:
        raise ValueError("it does not match its digest")


def check(stock: Mapping[str, Kind], further: Checks, report: Callable[[int], None] = lambda _: None) -> None:
    """Read everything that has a digest and note what does not match it.

    further: how to check kinds that this module does not know. report: called with bytes as they are read.
    """
    checks: dict[str, Callable[[Path], object]]
    checks = {"records": check_record, "originals": check_record, **dict.fromkeys(DIGESTED, _check_json)}
    checks |= further
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashing holds no lock of the interpreter
        for kind in stock.keys() & checks.keys():
            of = stock[kind]
            of.checked = True
            reasons = pool.map(partial(_why, checks[kind]), of.paths)
            for path, reason in zip(of.paths, reasons, strict=True):
                report(size_of(path))
                if reason:
                    of.damaged[path] = reason


def _why(check_one: Callable[[Path], object], path: Path) -> str:
    """What is wrong with it; "" if nothing is, or if it has gone meanwhile."""
    try:
        check_one(path)
    except (*DAMAGE, EOFError) as error:
        if not path.exists():
            return ""
        return str(getattr(error, "strerror", None) or error) or type(error).__name__
    return ""
