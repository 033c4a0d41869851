"""The far end of an engine whose machines need not see the store: a worker process and a store of its own.

Nothing of an engine's library is used here. Records leave as bytes; what the place wrote goes with it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mubench.engines._parcel import unpack
from mubench.planning.cell import Cell
from mubench.planning.timing_key import timing_facts
from mubench.running.machine import facts_apart
from mubench.running.outcome import REPLY, Status
from mubench.running.process import WorkerProcess
from mubench.storage.files import key_of, read_folder, write_folder
from mubench.storage.store import Store

# A reply as JSON, the record's files, the log, and how long it took, as the store keeps that.
Answer = tuple[bytes, Mapping[str, bytes], bytes, Any]


class Scratch:
    """A folder that the places of one run share on a machine; it goes with the last of them.

    Each holds a shared lock while it lives, however it ends. What runs left behind whose places were all
    killed is cleared away by the next one.
    """

    def __init__(self, run: str, home: Path | None = None) -> None:
        """run: the same word for all places of a run. home: in place of the system's temporary folder."""
        self._home = home or Path(tempfile.gettempdir()) / f"mubench-{os.getuid()}"
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._home.stat().st_uid != os.getuid():
            raise PermissionError(f"{self._home} belongs to another user")
        self._lock = self._held(run)
        self.root = self._home / run
        self.root.mkdir(exist_ok=True)
        # without a lock too: of a worker process that outlived its place for a moment
        for other in {path.stem for path in self._home.iterdir()} - {run}:
            self._clear(other)

    def _open(self, run: str) -> int:
        return os.open(self._home / f"{run}.lock", os.O_RDWR | os.O_CREAT, 0o600)

    def _held(self, run: str) -> int:
        """The run's lock, held; the last of another run's places may be removing the file meanwhile."""
        while True:
            lock = self._open(run)
            fcntl.flock(lock, fcntl.LOCK_SH)
            with suppress(FileNotFoundError):
                if os.fstat(lock).st_ino == (self._home / f"{run}.lock").stat().st_ino:
                    return lock
            os.close(lock)

    def _clear(self, run: str) -> None:
        """Remove a run's folder and lock unless a place of it is alive."""
        lock = self._open(run)
        try:
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(self._home / run, ignore_errors=True)
                (self._home / f"{run}.lock").unlink(missing_ok=True)
        finally:
            os.close(lock)

    def close(self) -> None:
        """Give it up, and remove it if nobody else holds it."""
        os.close(self._lock)
        self._clear(self.root.name)


class Place:
    """Runs one cell at a time in a worker process of this machine."""

    def __init__(self, run: str, jobs: int, device: str) -> None:
        """run: names the run, for `Scratch`. jobs: places that share the machine's memory, or its GPU."""
        self._device, self._scratch = device, Scratch(run)
        self._store = Store(self._scratch.root)
        self._worker = WorkerProcess(self._store, jobs, device)

    def facts(self) -> dict[str, Any]:
        """The machine's name, and what of it decides numbers: `running.machine.facts`."""
        try:
            return {"name": socket.gethostname(), "facts": facts_apart(self._device)}
        except subprocess.CalledProcessError as error:
            last = (error.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise RuntimeError(f"mubench does not start there: {last}") from None

    def lacks(self, paths: Sequence[str]) -> list[str]:
        """Those of these folders that are not here yet."""
        return [path for path in paths if not (self._store.root / path).is_dir()]

    def take(self, path: str, files: Mapping[str, bytes]) -> None:
        """Keep a folder for the cells to come."""
        write_folder(self._store.root / path, files)

    def run(self, words: bytes) -> Answer:
        """Run a cell, which came as JSON, to its end."""
        cell = unpack(words, self._store.root)
        reply = self._worker.run(cell)
        folder, files = self._store.folder(cell.key), {}
        if reply.status in (Status.OK, Status.CACHED):
            files = read_folder(folder)
            if cell.spec is not None:  # nobody will ask for it here again
                shutil.rmtree(folder, ignore_errors=True)
        return REPLY.dump_json(reply), files, self._log(cell), self._timing(cell)

    def _log(self, cell: Cell) -> bytes:
        with suppress(OSError):
            return self._store.log_file(cell.key).read_bytes()
        return b""

    def _timing(self, cell: Cell) -> Any:
        return self._store.cached_json("timings", key_of(timing_facts(cell.setting, cell)))

    def close(self) -> None:
        """End the process, whatever it runs, and leave nothing behind."""
        self._worker.close()
        self._scratch.close()
