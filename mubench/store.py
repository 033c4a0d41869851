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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from filelock import FileLock
from numpy.typing import NDArray

from mubench.errors import UsageError
from mubench.outputs import SETS, Outputs

ABOUT, ARRAYS, WEIGHTS = "record.json", "outputs.safetensors", "weights.safetensors"


def key_of(facts: Mapping[str, Any]) -> str:
    """SHA-256 of the facts as canonical JSON."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def default_store() -> Path:
    """$MUBENCH_STORE, or the user's data folder."""
    given = os.environ.get("MUBENCH_STORE")
    return Path(given) if given else Path(platformdirs.user_data_dir("mubench")) / "store"


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that readers see the old content or the new, also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with scratch.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


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
        try:
            about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
            for name, digest in about["files"].items():
                if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
                    raise ValueError(f"{name} does not match its digest")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._set_aside(folder, error)
            return None
        self._checked[key] = Record(folder, about)
        return self._checked[key]

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
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.root / "records" / f".{key[:16]}-{uuid.uuid4().hex[:8]}.tmp"
        scratch.mkdir()
        try:
            blobs = {ARRAYS: save({n: np.ascontiguousarray(a) for n, a in arrays.items()})}
            if weights is not None:
                blobs[WEIGHTS] = save({n: np.ascontiguousarray(a) for n, a in weights.items()})
            files = {name: hashlib.sha256(blob).hexdigest() for name, blob in blobs.items()}
            text = json.dumps({**about, "key": key, "files": files}, indent=1, allow_nan=False)
            for name, blob in {**blobs, ABOUT: text.encode()}.items():
                write_atomic(scratch / name, blob)
            old = scratch.with_suffix(".old")
            if folder.is_dir():  # timed anew, or damaged in a way that only its reader noticed
                folder.rename(old)
            scratch.rename(folder)
            self._checked.pop(key, None)
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
        """A derived value (metrics) saved under `key`, or None."""
        try:
            return json.loads((self.root / kind / f"{key}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def save_json(self, kind: str, key: str, value: Any) -> None:
        """Save a derived value; it can always be computed again."""
        write_atomic(self.root / kind / f"{key}.json", json.dumps(value).encode())
