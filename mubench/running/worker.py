"""A process that runs cells, each in a child: a cell a line in on stdin, two lines out for each on stdout.

This process imports torch and holds the data, but never computes: every cell starts from the same clean
state. The first line, b"started", says that a cell's time begins; the second is its `Reply`.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from filelock import Timeout
from pydantic import ValidationError

from mubench.planning.cell import CELL, Cell
from mubench.running.isolation import CAN_FORK, ChildDiedError, adopt_orphans, run_forked
from mubench.running.outcome import REPLY, Reply, Status, explain, one_line
from mubench.storage.files import open_new, write_atomic
from mubench.storage.store import Store, UnwritableError

STARTED = b"started\n"
# A cell's log keeps this many bytes of what the cell prints.
LOG_LIMIT = 1 << 20


@contextmanager
def claimed(cell: Cell, store: Store) -> Iterator[Reply | None]:
    """Hold the cell's lock inside; the reply instead, BUSY or CACHED, if another run works on it, or did."""
    lock = store.lock(cell.key)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield Reply(Status.BUSY)
        return
    try:
        record = store.get(cell.key)
        done = record is not None and not (cell.alone and record.about["cost"]["shared"])
        yield Reply(Status.CACHED) if done else None
    finally:
        lock.release()


def run_one(
    cell: Cell,
    store: Store,
    jobs: int = 1,
    *,
    log: Path | None = None,
    pulse: Path | None = None,
    interruptible: bool = False,
) -> Reply:
    """Run a cell in this process, unless another run does or did.

    jobs: how many cells run at once. log: where a traceback is kept as well as printed. pulse: a folder where
    it keeps a line of how far it is. interruptible: Ctrl-C is the user's and raises KeyboardInterrupt; it is
    a failure of the method otherwise, as all it raises.
    """
    from mubench.running.cell import run

    try:
        with claimed(cell, store) as others:
            if others is not None:
                return others
            run(cell, store, jobs, pulse)
    except UnwritableError as error:
        return Reply(Status.UNSAVED, str(error))
    # a method may raise anything, SystemExit and KeyboardInterrupt among it
    except BaseException as error:
        if interruptible and isinstance(error, KeyboardInterrupt):
            raise
        traceback.print_exc()
        reason = explain(error, tuple(spec.path for spec in cell.specs))
        if type(error).__name__ == "OutOfMemoryError":  # torch's, on the GPU
            reason += f"; lower batch_size (now {cell.setting.batch_size}) or take a smaller model"
        if log is not None:
            with suppress(OSError):
                write_atomic(log, traceback.format_exc().encode(errors="backslashreplace"))
        return Reply(Status.FAILED, reason)
    return Reply(Status.OK)


def prepare(cell: Cell, store: Store) -> None:
    """Import, load and ask the system for what cells need, so that forked children share it."""
    import mubench.running.cell  # noqa: F401 - imports torch
    from mubench.running.bench import data_of
    from mubench.running.environment import environment

    environment("cpu")
    if not cell.setting.data.dataset.module:
        return  # a user's file: its code runs in the children only
    with suppress(Exception):  # the cell meets the same error, and reports it
        data_of(cell.setting, store)


def read_reply(line: bytes, cell: Cell, store: Store) -> Reply:
    """A child's reply; FAILED if it is none, or claims a record that does not exist."""
    try:
        reply = REPLY.validate_json(line)
    except ValidationError:
        reason = "its process sent no readable reply; does the method write into files that it did not open?"
        return Reply(Status.FAILED, reason)
    if reply.status in (Status.OK, Status.CACHED) and not store.folder(cell.key).is_dir():
        return Reply(Status.FAILED, "its process reported success, but its record is not in the store")
    return replace(reply, reason=one_line(reply.reason))


class _Log:
    """A cell's log file, which takes LOG_LIMIT bytes and no more."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO | None = None
        with suppress(OSError):  # no log is no reason not to run
            self._file = open_new(path)
        self._room = LOG_LIMIT

    def write(self, text: bytes) -> None:
        if self._file is not None and self._room > 0:
            with suppress(OSError):
                self._file.write(text[: self._room])
                self._room -= len(text)
                if self._room <= 0:
                    self._file.write(b"\n[mubench: the output was cut here]\n")

    def close(self, last_words: str = "") -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.write(last_words.encode())
            self._file.close()


def run_apart(cell: Cell, store: Store, jobs: int, pulse: Path | None, pipes: tuple[int, int]) -> Reply:
    """Run a cell in a child; what it prints goes to its log.

    pulse: as in `run_one`. pipes: this process's requests and replies.
    """
    log = _Log(store.log_file(cell.key))
    last_words = ""

    def work() -> bytes:
        with suppress(OSError):  # where the system runs out of memory, it ends the cell, not the worker
            Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")
        return REPLY.dump_json(run_one(cell, store, jobs, pulse=pulse))

    try:
        line = run_forked(
            work,
            timeout=cell.setting.timeout,
            output=log.write,
            lifeline=pipes[0],
            private=pipes,
        )
        return read_reply(line, cell, store)
    except ChildDiedError as death:
        last_words = f"[mubench: {death}]\n"
        return Reply(Status.FAILED if death.late else Status.DIED, str(death))
    finally:
        log.close(last_words)


def _limit_memory(jobs: int) -> None:
    """Limit this process and its children to a `jobs`-th of 90 % of the free memory each (Linux).

    More is a MemoryError in the cell instead of the system ending processes. A lower limit stays.
    """
    try:
        import resource

        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        finite = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_DATA, (min([free * 9 // 10 // jobs, *finite]), hard))
    except (ImportError, OSError, ValueError, StopIteration):
        pass  # only Linux has all of this


def main() -> None:
    """Serve until stdin ends: `python -m mubench.running.worker STORE JOBS DEVICE [PULSE]`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    store, jobs, device = Store(Path(sys.argv[1])), int(sys.argv[2]), sys.argv[3]
    pulse = Path(sys.argv[4]) if len(sys.argv) > 4 else None
    pipes = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what imports print must not be taken for a reply
    adopt_orphans()
    if device == "cpu":
        _limit_memory(jobs)
    # without a buffer: while a cell runs, the next thing to read is the end of the pipe
    with open(pipes[0], "rb", buffering=0, closefd=False) as requests:
        for line in iter(requests.readline, b""):
            cell = CELL.validate_json(line)
            prepare(cell, store)
            os.write(pipes[1], STARTED)
            if CAN_FORK:
                reply = run_apart(cell, store, jobs, pulse, pipes)
            else:
                reply = run_one(cell, store, jobs, pulse=pulse)
            os.write(pipes[1], REPLY.dump_json(reply) + b"\n")


if __name__ == "__main__":
    main()
