"""`mubench store prune`: remove what no suite needs, and nothing that a running process works on."""

from __future__ import annotations

import json
import shutil
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from filelock import Timeout

from mubench.commands.messages import working_console
from mubench.commands.needs import Needs, devices, needs_of
from mubench.commands.stock import size_text
from mubench.errors import UsageError, printable
from mubench.planning.splits import split_digest
from mubench.planning.suite import find
from mubench.reporting.manifest import read_manifest
from mubench.storage.holding import held, store_lock
from mubench.storage.inventory import Kind, size_of, take_stock
from mubench.storage.merge import REFERENCES
from mubench.storage.store import ABOUT, Store

if TYPE_CHECKING:
    from rich.console import Console

# What is younger than this may be being written, in seconds.
YOUNG = 3600.0


@dataclass(frozen=True)
class Wanted:
    """suites, plugins: kept besides the installed suites. elsewhere: also remove what other machines made."""

    suites: tuple[str, ...] = ()
    plugins: tuple[Path, ...] = ()
    elsewhere: bool = False


@dataclass
class Verdict:
    """doomed: path -> what it is. kept: why records that no suite needs stay -> how many."""

    doomed: dict[Path, str] = field(default_factory=dict)
    kept: Counter[str] = field(default_factory=Counter)


def prune_store(store: Store, wanted: Wanted, console: Console, *, dry_run: bool, yes: bool) -> int:
    """Say what no suite needs, ask, and remove it; 0 unless the answer is no (1).

    Raises UsageError where nobody can be asked, or the store cannot be written.
    """
    store.settle()
    with working_console().status("looking at what suites need"):
        needs = needs_of(store, wanted.suites, wanted.plugins)
        verdict = _judge(store, needs, wanted)
    _print(verdict, needs, console)
    if dry_run or not verdict.doomed:
        return 0
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("nobody can be asked here: give --yes to remove it, or --dry-run to look")
        if not click.confirm("Remove it?", err=True):
            return 1
    try:
        with store_lock(store.root):
            now = _judge(store, needs, wanted).doomed  # runs may have begun since
            size = _remove(store, [path for path in verdict.doomed if path in now])
    except OSError as error:
        raise UsageError(f"the store {store.root} cannot be written: {error.strerror}") from error
    console.print(f"Removed: {size_text(size)}.")
    return 0


# What suites, plugins and data are called that `mubench.run` wrote.
PYTHON = "suites, plugins and data given in Python"


def _judge(store: Store, needs: Needs, wanted: Wanted) -> Verdict:
    """What is to go, and why the rest stays."""
    stock, working, verdict = take_stock(store.root), held(store.root), Verdict()
    imported = set() if wanted.elsewhere else _imported(store)
    here, now = _hardware(), time.time()
    splits = set(needs.splits)
    for path in _of(stock, "records", "originals"):
        about = _about(path)
        if path.name in needs.keys:
            reason = "suites need them"
        elif path.name in working:
            reason = "running processes work on them"
        elif path.name in imported:
            reason = "they were imported (--elsewhere removes them)"
        elif not wanted.elsewhere and about.get("environment", {}).get("hardware", "") not in ("", *here):
            reason = "other machines made them (--elsewhere removes them)"
        elif needs.unknown and about.get("dataset", "") in ("", *needs.unknown):
            reason = "they may be of suites that cannot be planned here"
        else:
            reason = ""
        if reason:
            verdict.kept[reason] += 1
            with suppress(KeyError, TypeError, AttributeError):
                splits.add(split_digest(part["sha256"] for part in about["split"].values()))
        else:
            verdict.doomed[path] = "records that no suite needs"
    records = {p.name for p in _of(stock, "records", "originals") if p not in verdict.doomed}
    for kind, what in (("logs", "logs of such cells"), ("failures", "failures of such cells")):
        for path in _of(stock, kind):
            if path.stem not in records | needs.keys | working and not needs.unknown:
                verdict.doomed[path] = what
    loose = {
        **dict.fromkeys(_of(stock, "damaged"), "damaged records, set aside"),
        **dict.fromkeys(_of(stock, "unfinished"), "left by what was killed"),
        **dict.fromkeys((p for p in _of(stock, "splits") if p.stem not in splits), "splits"),
        **dict.fromkeys(_idle_data(stock, needs), "datasets as arrays"),
        **dict.fromkeys(_unnamed(stock, wanted), PYTHON),
        **dict.fromkeys(_of(stock, "references") if wanted.elsewhere else (), "numbers of imported runs"),
    }
    # of what has no key, nobody knows which process uses it
    verdict.doomed |= {} if working else {p: what for p, what in loose.items() if _age(p, now) > YOUNG}
    return verdict


def _of(stock: dict[str, Kind], *kinds: str) -> Iterator[Path]:
    for kind in kinds:
        yield from stock[kind].paths if kind in stock else ()


def _about(record: Path) -> dict[str, Any]:
    """What a record says of itself; nothing if it is damaged."""
    with suppress(OSError, ValueError, RecursionError):
        about = json.loads((record / ABOUT).read_text(encoding="utf-8"))
        if isinstance(about, dict) and isinstance(about.get("environment"), dict):
            return about
    return {}


def _imported(store: Store) -> set[str]:
    """The keys of the cells of imported runs."""
    keys: set[str] = set()
    for folder in (store.root / REFERENCES).glob("*"):
        with suppress(UsageError):
            keys |= set(read_manifest(folder).keys)
    return keys


def _hardware() -> set[str]:
    """What records made here say that they were made on."""
    from mubench.running.environment import environment

    return {environment(device)["hardware"] for device in devices()}


def _idle_data(stock: dict[str, Kind], needs: Needs) -> Iterator[Path]:
    """The arrays of datasets that no suite uses."""
    for path in _of(stock, "data"):
        if path not in needs.data and path.name.rpartition("-")[0] not in needs.unknown:
            yield path


def _unnamed(stock: dict[str, Kind], wanted: Wanted) -> Iterator[Path]:
    """What suites in Python wrote, but for the given suites and plugins and what these name."""
    given = [find(name).resolve() for name in wanted.suites] + [p.resolve() for p in wanted.plugins]
    text = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in given)
    for path in _of(stock, "suites", "plugins", "arrays", "indices"):
        if path.resolve() not in given and path.name not in text:
            yield path


def _age(path: Path, now: float) -> float:
    try:
        return now - path.lstat().st_mtime
    except OSError:
        return 0.0


def _print(verdict: Verdict, needs: Needs, console: Console) -> None:
    for reason, count in verdict.kept.items():
        console.print(f"{count:,} records stay: {reason}.")
    if needs.unknown:
        names = ", ".join(sorted(needs.unknown))
        console.print(printable(f"Suites on {names} cannot be planned: their data are not here."))
    if not verdict.doomed:
        console.print("Everything is needed.")
        return
    from rich.table import Table

    grid = Table("To be removed")
    for title in ("Count", "Size"):
        grid.add_column(title, justify="right")
    for what in dict.fromkeys(verdict.doomed.values()):
        paths = [path for path, of in verdict.doomed.items() if of == what]
        grid.add_row(what, f"{len(paths):,}", size_text(sum(map(size_of, paths))))
    console.print(grid)
    if PYTHON in verdict.doomed.values():
        console.print(
            "Suites built in Python do not count, and their records go too. To keep those of one, add "
            "--suite STORE/suites/NAME.toml and a --plugin for each of its files in STORE/plugins."
        )


def _remove(store: Store, paths: list[Path]) -> int:
    """Remove them, a record only while nobody makes it; bytes that were freed."""
    freed = 0
    for path in paths:
        size = size_of(path)
        with suppress(Timeout, FileNotFoundError):
            if path.parent.parent.parent == store.root and path.parent.parent.name == "records":
                with store.lock(path.name).acquire(blocking=False):
                    # out of its place at once: nobody meets half a record
                    gone = store.root / "records" / f".{path.name[:16]}-{uuid.uuid4().hex[:8]}.tmp"
                    path.rename(gone)
                    shutil.rmtree(gone)
            elif path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
            freed += size
    return freed
