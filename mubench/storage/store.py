"""Records by content: what decided an outcome is its name, so nothing is ever computed twice.

A record is a folder, written under a temporary name and renamed when whole: what a killed run
leaves behind is never read as a result. Arrays are safetensors, the rest JSON; nothing is pickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from filelock import FileLock
from numpy.typing import NDArray

from mubench.api.outputs import SETS, Outputs
from mubench.errors import UsageError
from mubench.storage.files import _sync_folder, key_of, write_atomic

ABOUT, ARRAYS, WEIGHTS = "record.json", "outputs.safetensors", "weights.safetensors"


def default_store() -> Path:
    """$MUBENCH_STORE, or the user's data folder."""
    given = os.environ.get("MUBENCH_STORE")
    return Path(given) if given else Path(platformdirs.user_data_dir("mubench")) / "store"


class UnwritableError(UsageError):
    """The store takes no record any more: whatever else is computed would be lost too."""


_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError)


def _read(folder: Path) -> dict[str, Any]:
    """What a record says about itself; one of _DAMAGE if any of its files is not as it was written."""
    about: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    digest = about.pop("sha256", None)  # the first records had none
    if digest is not None and digest != key_of(about):
        raise ValueError(f"{ABOUT} does not match its digest")
    for name, digest in about["files"].items():
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            raise ValueError(f"{name} does not match its digest")
    return about


@dataclass(frozen=True)
class Record:
    """One finished cell: `about` (parameters, cost, environment, log) and its arrays on disk."""

    folder: Path
    about: dict[str, Any]

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


class Store:
    """A folder of records, data caches, locks and logs; several runs may share one."""

    def __init__(self, root: Path) -> None:
        """Create the folder; UsageError if that is not possible or it cannot be written."""
        self.root = root.absolute()
        self.set_aside: list[str] = []
        self._checked: dict[str, Record] = {}
        try:
            (self.root / "records").mkdir(parents=True, exist_ok=True)
            probe = self.root / f".probe-{uuid.uuid4().hex[:8]}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise UsageError(f"the store {root} cannot be written: {error.strerror}") from None

    def folder(self, key: str) -> Path:
        """Where the record with this key is, or would be."""
        return self.root / "records" / key[:2] / key

    def lock(self, key: str) -> FileLock:
        """Held while a record is made, so that two runs share the work."""
        path = self.root / "locks" / f"{key}.lock"
        path.parent.mkdir(exist_ok=True)
        return FileLock(path)

    def log_file(self, key: str) -> Path:
        """Where the cell's printed output goes."""
        path = self.root / "logs" / f"{key}.log"
        path.parent.mkdir(exist_ok=True)
        return path

    def get(self, key: str) -> Record | None:
        """The record, whole and checked, or None; a damaged one is set aside and None returned."""
        if key in self._checked:
            return self._checked[key]
        folder = self.folder(key)
        if not folder.is_dir():
            return None
        with suppress(*_DAMAGE):  # another run may be replacing it at this moment
            self._checked[key] = Record(folder, _read(folder))
            return self._checked[key]
        try:
            self._checked[key] = Record(folder, _read(folder))
        except _DAMAGE as error:
            self._set_aside(folder, error)
        return self._checked.get(key)

    def forget_checks(self) -> None:
        """Read records anew: other processes may have written since."""
        self._checked.clear()

    def _set_aside(self, folder: Path, error: Exception) -> None:
        target = self.root / "damaged" / f"{folder.name}-{time.time_ns()}"
        target.parent.mkdir(exist_ok=True)
        try:
            folder.rename(target)
        except OSError:
            return  # another run was first
        self.set_aside.append(f"a damaged record was set aside as {target} ({error}); it is computed again")

    def put(
        self,
        key: str,
        about: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]],
        weights: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Write a record whole or not at all; one of the same key is replaced. The caller holds its lock."""
        from safetensors.numpy import save

        folder = self.folder(key)
        scratch = self.root / "records" / f".{key[:16]}-{uuid.uuid4().hex[:8]}.tmp"
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            scratch.mkdir()
            for left in scratch.parent.glob(f".{key[:16]}-*"):  # by a run that was killed: its lock is ours
                if left != scratch:
                    shutil.rmtree(left, ignore_errors=True)
            blobs = {ARRAYS: save({n: np.ascontiguousarray(a) for n, a in arrays.items()})}
            if weights is not None:
                blobs[WEIGHTS] = save({n: np.ascontiguousarray(a) for n, a in weights.items()})
            files = {name: hashlib.sha256(blob).hexdigest() for name, blob in blobs.items()}
            # as it will be read, for its digest
            plain = json.loads(json.dumps({**about, "key": key, "files": files}, allow_nan=False))
            text = json.dumps({**plain, "sha256": key_of(plain)}, indent=1)
            for name, blob in {**blobs, ABOUT: text.encode()}.items():
                write_atomic(scratch / name, blob)
            _sync_folder(scratch)
            old = scratch.with_suffix(".old")
            if folder.is_dir():  # timed anew, or damaged in a way that only its reader noticed
                folder.rename(old)
            scratch.rename(folder)
            _sync_folder(folder.parent)
            self._checked.pop(key, None)
        except OSError as error:
            raise UnwritableError(
                f"the store {self.root} cannot be written: {error.strerror}; what was finished is saved: "
                "make room, and the same command goes on from there"
            ) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            shutil.rmtree(scratch.with_suffix(".old"), ignore_errors=True)
        self.forget_failure(key)

    def _failure_file(self, key: str) -> Path:
        return self.root / "failures" / f"{key}.json"

    def put_failure(self, key: str, reason: str) -> None:
        """Remember why a cell failed; a later run tries it again."""
        write_atomic(self._failure_file(key), json.dumps({"reason": reason}).encode())

    def failure(self, key: str) -> str | None:
        """Why the cell failed when it was last tried, or None."""
        try:
            reason = json.loads(self._failure_file(key).read_text(encoding="utf-8"))["reason"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return str(reason)

    def forget_failure(self, key: str) -> None:
        """The cell has succeeded, or is tried anew."""
        self._failure_file(key).unlink(missing_ok=True)

    def save_text(self, kind: str, name: str, text: str) -> None:
        """Keep a text whose name says its content; what is there already stays."""
        path = self.root / kind / name
        if not path.exists():
            write_atomic(path, text.encode())

    def cached_json(self, kind: str, key: str) -> Any | None:
        """A derived value (metrics) saved under `key`, or None if there is none or it was damaged."""
        try:
            saved = json.loads((self.root / kind / f"{key}.json").read_text(encoding="utf-8"))
            return saved["value"] if saved["sha256"] == key_of(saved["value"]) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save_json(self, kind: str, key: str, value: Any) -> None:
        """Save a derived value; it can always be computed again."""
        checked = {"value": value, "sha256": key_of(json.loads(json.dumps(value)))}
        write_atomic(self.root / kind / f"{key}.json", json.dumps(checked).encode())

    def drop_json(self, kind: str, key: str) -> None:
        """Forget a derived value."""
        (self.root / kind / f"{key}.json").unlink(missing_ok=True)
