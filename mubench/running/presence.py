"""Whether cells of other runs on the same store and machine were at work while one was timed."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType


class Presence:
    """A stretch of time; `disturbed` says afterwards whether another one overlapped it.

    Everyone holds a shared lock of one file for as long as it lasts, which the system releases even of the
    dead. Who can lock it alone is alone; each adds a byte, so that all see later that somebody came.
    """

    def __init__(self, root: Path) -> None:
        """root: the store."""
        self._path = root / "locks" / f"{platform.node() or 'machine'}.timing"
        self._file: int | None = None
        self._size = 0
        self.disturbed = False

    def __enter__(self) -> Presence:
        if sys.platform == "win32":
            return self
        import fcntl

        with suppress(OSError):  # a full disk, or one without locks: no reason not to run
            self._path.parent.mkdir(exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(self._file, 0)
            except BlockingIOError:
                self.disturbed = True
            with suppress(OSError):
                os.write(self._file, b"x")
            self._size = os.fstat(self._file).st_size
            fcntl.flock(self._file, fcntl.LOCK_SH)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if sys.platform == "win32" or self._file is None:
            return
        import fcntl

        with suppress(OSError):
            self.disturbed |= os.fstat(self._file).st_size != self._size
            fcntl.flock(self._file, fcntl.LOCK_UN)  # a child that a method forked may hold the file too
        os.close(self._file)
