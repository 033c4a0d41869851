"""Moves of many folders that happen all together or not at all, also if the process is killed meanwhile.

The folders are put together under `imports/` first. A journal says which are about to be moved; whoever opens
the store and finds the journal of a process that is gone takes back what it moved.
"""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from mubench.storage.files import load_json, lock_file, save_json, sync_folder

FOLDER = "imports"
_JOURNAL = "journal.json"


@dataclass(frozen=True)
class Staging:
    """A folder of its own in a store, for what is to be moved into its place.

    Places are paths below the store's root; every folder to be moved holds the file `mark` names.
    """

    root: Path
    folder: Path

    def move(self, marks: Mapping[str, str], take: Callable[[str], None]) -> None:
        """Move the folders at these places (place -> file that marks it) to where they belong.

        take(place) moves one and raises if it cannot; then all that were moved are taken back.
        """
        journal = {place: _sha(self.folder / place / mark) for place, mark in marks.items()}
        save_json(self.folder / _JOURNAL, {place: [marks[place], sha] for place, sha in journal.items()})
        try:
            for place in marks:
                take(place)
            for parent in {(self.root / place).parent for place in marks}:
                sync_folder(parent)
        except BaseException:
            _take_back(self.root, self.folder)
            raise
        (self.folder / _JOURNAL).unlink()


@contextmanager
def staging(root: Path) -> Iterator[Staging]:
    """A `Staging` that is gone afterwards with all that was not moved."""
    folder = root / FOLDER / uuid.uuid4().hex
    with lock_file(_lock(folder)):
        folder.mkdir()
        try:
            yield Staging(root, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            _lock(folder).unlink(missing_ok=True)


def recover(root: Path) -> None:
    """Take back what processes that are gone had moved of what they did not finish; a store that cannot be
    written stays as it is."""
    home = root / FOLDER
    if not home.is_dir():
        return
    for folder in sorted(p for p in home.iterdir() if p.is_dir()):
        with suppress(OSError, Timeout), lock_file(_lock(folder)).acquire(blocking=False):
            _take_back(root, folder)
            shutil.rmtree(folder, ignore_errors=True)
            _lock(folder).unlink(missing_ok=True)


def _lock(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _take_back(root: Path, folder: Path) -> None:
    """Remove what the journal lists and is as it was moved: a run may have made a record anew since."""
    for place, (mark, sha) in (load_json(folder / _JOURNAL) or {}).items():
        with suppress(OSError):
            if _sha(root / place / mark) == sha:
                (folder / place).parent.mkdir(parents=True, exist_ok=True)
                (root / place).rename(folder / place)
    (folder / _JOURNAL).unlink(missing_ok=True)


def _sha(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
