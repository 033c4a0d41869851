"""What running processes work on: prune leaves it alone.

Each process that runs cells has a file of their keys under `running/`, and a lock beside it for as long as it
lives. A file whose lock nobody holds is of a process that is gone.
"""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from mubench.storage.files import load_json, lock_file, save_json

FOLDER = "running"


def store_lock(root: Path) -> FileLock:
    """Held while records are moved in or away, and while a run says what it works on."""
    return lock_file(root / "locks" / "store.lock")


def hold(holder: object, root: Path, keys: Iterable[str]) -> None:
    """Let prune keep these keys for as long as `holder` and this process live.

    Does nothing to a store that cannot be written, which nobody can prune either.
    """
    file = root / FOLDER / f"{uuid.uuid4().hex}.json"
    with suppress(OSError), store_lock(root):
        lock = lock_file(file.with_suffix(".lock"))
        lock.acquire()
        save_json(file, sorted(keys))
        weakref.finalize(holder, _release, file, lock)


def _release(file: Path, lock: FileLock) -> None:
    with suppress(OSError):
        file.unlink(missing_ok=True)
        lock.release()
        file.with_suffix(".lock").unlink(missing_ok=True)


def held(root: Path) -> set[str]:
    """The keys that living processes work on; what those that are gone left is removed."""
    keys: set[str] = set()
    for file in sorted((root / FOLDER).glob("*.json")):
        lock = lock_file(file.with_suffix(".lock"))
        try:
            with lock.acquire(blocking=False):
                file.unlink(missing_ok=True)
        except Timeout:
            keys |= set(load_json(file) or ())
            continue
        file.with_suffix(".lock").unlink(missing_ok=True)
    return keys
