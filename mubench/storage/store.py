"""Records by content: what decided an outcome is its name, so nothing is ever computed twice.

A record is a folder, written under a temporary name and renamed when whole: what a killed run
leaves behind is never read as a result. Arrays are safetensors, the rest JSON; nothing is pickled.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import platformdirs
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from mubench.api.outputs import SETS, Outputs
from mubench.errors import UsageError
from mubench.storage.files import (
    key_of,
    load_json,
    lock_file,
    save_json,
    sealed,
    sync_folder,
    unsealed,
    write_atomic,
)
from mubench.storage.holding import hold
from mubench.storage.journal import recover

ABOUT, ARRAYS, WEIGHTS = "record.json", "outputs.safetensors", "weights.safetensors"
# From so many records on, one file that holds what all of them say is worth its place.
MANY = 100
# The ending of a record's folder while another takes its place.
_OLD = ".old"


def default_store() -> Path:
    """$MUBENCH_STORE, or the user's data folder."""
    configured = os.environ.get("MUBENCH_STORE")
    return Path(configured) if configured else Path(platformdirs.user_data_dir("mubench")) / "store"


class UnwritableError(UsageError):
    """The store takes no record any more: whatever else is computed would be lost too."""


# What reading a damaged record raises.
DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


_is_key = re.compile("[0-9a-f]{64}").fullmatch


def _checked_key(key: str) -> str:
    if not _is_key(key):
        raise UsageError(f"{key[:80]!r} is no key of a record: a key is 64 hexadecimal digits")
    return key


def _read_about(text: bytes) -> dict[str, Any]:
    """What a record says about itself; one of DAMAGE if that is not as it was written."""
    about = unsealed(text, ABOUT)
    if not {*about["files"].keys()} <= {ARRAYS, WEIGHTS}:  # never a path that leads elsewhere
        raise ValueError(f"{ABOUT} names a file that no record has")
    return about


def read_record(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What a record says about itself, and its files; one of DAMAGE if any is not as it was written."""
    files = {ABOUT: (folder / ABOUT).read_bytes()}
    about = _read_about(files[ABOUT])
    for name, digest in about["files"].items():
        files[name] = (folder / name).read_bytes()
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise ValueError(f"{name} does not match its digest")
    return about, files


def _check_whole(folder: Path, key: str) -> None:
    """ValueError unless the folder holds the whole record with this key, as it was written."""
    try:
        about = read_record(folder)[0]
    except DAMAGE as error:
        raise ValueError(f"the record came damaged: {error}") from None
    if about["key"] != key or {p.name for p in folder.iterdir()} != {*about["files"], ABOUT}:
        raise ValueError("what came is not the cell's record")


def _settle(old: Path, folder: Path) -> None:
    """Let a record that was being replaced go if another is in its place, else put it back there."""
    if folder.is_dir():
        shutil.rmtree(old, ignore_errors=True)
    else:
        with suppress(OSError):  # there was none
            old.rename(folder)


@dataclass(frozen=True)
class Record:
    """One finished cell: `about` (parameters, cost, environment, log), and its arrays in a folder."""

    where: str
    about: dict[str, Any]

    @property
    def folder(self) -> Path:
        """The record's folder."""
        return Path(self.where)

    def outputs(self) -> Outputs:
        """The stored outputs."""
        from safetensors.numpy import load_file

        arrays = load_file(self.folder / ARRAYS)
        return Outputs(
            logits={s: arrays[f"logits.{s}"] for s in SETS},
            labels={s: arrays[f"labels.{s}"] for s in SETS},
            features={n.removeprefix("features."): a for n, a in arrays.items() if n.startswith("features.")},
            forgotten=tuple(self.about["forgotten"]),
        )

    @property
    def weights(self) -> Path:
        """The weights' file (originals)."""
        return self.folder / WEIGHTS


class _Known(NamedTuple):
    """A record that was checked. version: of its description. whole: whether its arrays were checked too."""

    version: tuple[int, int]
    record: Record
    whole: bool


class Store:
    """A folder of records, data caches, locks and logs; several runs may share one."""

    def __init__(self, root: Path) -> None:
        """Nothing is written before something is put. UsageError for a path that cannot be used."""
        try:
            self.root = root.expanduser().absolute()
            str(self.root).encode()
        except RuntimeError as error:  # "~somebody"
            raise UsageError(f"the store {root}: {error}") from None
        except UnicodeEncodeError:
            raise UsageError(f"the store {str(root)!a}: the path is not UTF-8; choose another") from None
        self._known: dict[str, _Known] = {}
        self._recovered = False

    def check_writable(self) -> None:
        """UsageError if records cannot be written, before hours of work and not after."""
        try:
            write_atomic(self.root / "records" / ".probe", b"")
            (self.root / "records" / ".probe").unlink(missing_ok=True)  # another run may be doing the same
        except OSError as error:
            raise UsageError(f"the store {self.root} cannot be written: {error.strerror}") from None

    def _path(self, kind: str, key: str, suffix: str = "") -> Path:
        return self.root / kind / f"{_checked_key(key)}{suffix}"

    def folder(self, key: str) -> Path:
        """Where the record with this key is, or would be; UsageError for what cannot be a key."""
        return Path(self._where(key))

    def _where(self, key: str) -> str:
        """The same as text: to look whether it is there, a `Path` takes ten times as long."""
        return f"{self.root}/records/{_checked_key(key)[:2]}/{key}"

    def lock(self, key: str) -> FileLock:
        """Held while a record is made, so that two runs share the work."""
        return lock_file(self._path("locks", key, ".lock"))

    def hold(self, keys: Iterable[str]) -> None:
        """Let nobody prune these records while this store is in use."""
        hold(self, self.root, keys)

    def log_file(self, key: str) -> Path:
        """Where the cell's printed output goes; write it with `files.open_new`."""
        return self._path("logs", key, ".log")

    def get(self, key: str, *, arrays: bool = True) -> Record | None:
        """The record, whole and checked, or None; a damaged one is set aside and None returned.

        A record that was checked before and has not been replaced since is not read again. arrays: unless
        they are wanted, only what it says of itself is read and checked.
        """
        self.settle()
        known = self._known.get(key)
        where = known.record.where if known else self._where(key)
        try:
            return self._checked(key, where, arrays)
        except DAMAGE:
            if not os.path.isdir(where):  # noqa: PTH112 - see `_where`
                return None
        try:  # once more: another run may have been replacing it at that moment
            return self._checked(key, where, arrays)
        except DAMAGE as error:
            self._set_aside(Path(where), error)
            return None

    def get_all(self, keys: Sequence[str]) -> list[Record | None]:
        """As `get` of each, without arrays. What many say is kept together, to be read at once next time."""
        if len(keys) < MANY:
            return [self.get(key, arrays=False) for key in keys]
        place = key_of(list(keys))
        kept = {k: (tuple(version), about) for k, version, about in self.cached_json("said", place) or ()}
        for key, (version, about) in kept.items():
            self._known.setdefault(key, _Known(version, Record(self._where(key), about), False))
        found = [self.get(key, arrays=False) for key in keys]
        if None not in found:
            said = [(key, *self._known[key][:2]) for key in keys]
            if any(key not in kept or kept[key][0] != version for key, version, _ in said):
                self.save_json("said", place, [(key, version, record.about) for key, version, record in said])
        return found

    def present(self) -> set[str]:
        """The keys that have a folder now, to ask for many; whether it is a whole record, `get` finds out."""
        self.settle()
        found: set[str] = set()
        for folder in (self.root / "records").glob("??"):
            with suppress(OSError):  # it is none, or it has just gone
                found.update(os.listdir(folder))  # noqa: PTH208 - see `_where`
        return found

    def settle(self) -> None:
        """Once, before anything is read: what an import that was killed has left is no record.

        And a record that was being replaced when its writer was killed is put back.
        """
        if self._recovered:
            return
        recover(self.root)
        self._recovered = True
        for old in (self.root / "records").glob(f".*{_OLD}"):
            with suppress(*DAMAGE, Timeout):  # its writer is alive, or nobody may write here
                key = read_record(old)[0]["key"]
                with self.lock(key).acquire(timeout=0):
                    _settle(old, self.folder(key))

    def _checked(self, key: str, where: str, arrays: bool) -> Record:
        """The record; one of DAMAGE if it is not as it was written."""
        known = self._known.get(key)
        file = f"{where}/{ABOUT}"
        now = os.stat(file)  # noqa: PTH116 - see `_where`
        version = (now.st_ino, now.st_mtime_ns)
        if known is None or known.version != version or (arrays and not known.whole):
            if arrays:
                about = read_record(Path(where))[0]
            else:
                with open(file, "rb", buffering=0) as opened:  # noqa: PTH123 - see `_where`
                    about = _read_about(opened.read())
            known = self._known[key] = _Known(version, Record(where, about), arrays)
        return known.record

    def _set_aside(self, folder: Path, error: Exception) -> None:
        target = self.root / "damaged" / f"{folder.name}-{time.time_ns()}"
        with suppress(OSError):  # another run was first, or the store is read-only
            target.parent.mkdir(exist_ok=True)
            folder.rename(target)
            print(  # noqa: T201
                f"a damaged record was set aside as {target} ({error}); it is computed again", file=sys.stderr
            )

    def put(
        self,
        key: str,
        about: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]],
        weights: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Write a record whole or not at all; one of the same key is replaced. The caller holds its lock."""
        from safetensors.numpy import save

        blobs = {ARRAYS: save({n: np.ascontiguousarray(a) for n, a in arrays.items()})}
        if weights is not None:
            blobs[WEIGHTS] = save({n: np.ascontiguousarray(a) for n, a in weights.items()})
        files = {name: hashlib.sha256(blob).hexdigest() for name, blob in blobs.items()}
        self._place(key, {**blobs, ABOUT: sealed({**about, "key": key, "files": files}, indent=1)})

    def adopt(self, key: str, files: Mapping[str, bytes]) -> None:
        """Take the files of a record that another store wrote, as `put` would; the caller holds its lock.

        Raises ValueError, and keeps nothing, if they are not the whole record with this key.
        """
        self._place(key, files, check=True)

    def _place(self, key: str, files: Mapping[str, bytes], check: bool = False) -> None:
        """Write a record's files under a temporary name and rename them. check: as `adopt` does."""
        folder = self.folder(key)
        scratch = self.root / "records" / f".{key[:16]}-{uuid.uuid4().hex[:8]}.tmp"
        old = scratch.with_suffix(_OLD)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            scratch.mkdir()
            for left in scratch.parent.glob(f".{key[:16]}-*"):  # by a run that was killed: its lock is ours
                if left.suffix == _OLD:
                    _settle(left, folder)
                elif left != scratch:
                    shutil.rmtree(left, ignore_errors=True)
            for name, blob in files.items():
                write_atomic(scratch / name, blob)
            if check:
                _check_whole(scratch, key)
            sync_folder(scratch)
            if folder.is_dir():  # timed anew, or damaged in a way that only its reader noticed
                folder.rename(old)
            scratch.rename(folder)
            sync_folder(folder.parent)
        except OSError as error:
            raise UnwritableError(
                f"the store {self.root} cannot be written: {error.strerror}; what was finished is saved: "
                "make room, and the same command goes on from there"
            ) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            _settle(old, folder)
        self.forget_failure(key)

    def put_failure(self, key: str, reason: str) -> None:
        """Remember why a cell failed; a later run tries it again."""
        save_json(self._path("failures", key, ".json"), reason)

    def failure(self, key: str) -> str | None:
        """Why the cell failed when it was last tried, or None."""
        reason = load_json(self._path("failures", key, ".json"))
        return reason if isinstance(reason, str) else None

    def forget_failure(self, key: str) -> None:
        """The cell has succeeded, or is tried anew."""
        with suppress(OSError):  # of another user: a record counts for more than a failure anyway
            self._path("failures", key, ".json").unlink()

    def save_text(self, kind: str, name: str, text: str) -> None:
        """Keep a text whose name says its content; what is there already stays."""
        path = self.root / kind / name
        if not path.exists():
            write_atomic(path, text.encode())

    def cached_json(self, kind: str, key: str) -> Any | None:
        """A derived value (metrics) saved under `key`, or None if there is none or it was damaged."""
        return load_json(self._path(kind, key, ".json"))

    def save_json(self, kind: str, key: str, value: Any) -> None:
        """Save a derived value, if the store can be written: it can always be computed again."""
        with suppress(OSError):
            save_json(self._path(kind, key, ".json"), value, lasting=False)
