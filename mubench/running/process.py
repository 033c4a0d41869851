"""A worker process seen from outside: started when needed, again after it died."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

from mubench.planning.cell import CELL, Cell
from mubench.running.isolation import CAN_FORK, how_it_ended
from mubench.running.outcome import REPLY, Reply, Status
from mubench.storage.files import write_atomic
from mubench.storage.store import Store

# Seconds after a cell's timeout until its worker, which should have stopped it, is stopped itself.
PATIENCE = 5.0
# glibc's malloc keeps what a step frees for the next step, instead of asking the system for it anew.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(1 << 25), "MALLOC_TRIM_THRESHOLD_": str(1 << 29)}
# Seconds that a worker may take to end itself and its cell.
FAREWELL = 3.0


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a worker and whatever is left of its process group."""
    if sys.platform != "win32":
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


class WorkerProcess:
    """One process of `mubench.running.worker`."""

    def __init__(self, store: Store, jobs: int, device: str, pulse: Path | None = None) -> None:
        """`jobs` workers share the machine's memory; `device` is "cpu" or "cuda"; pulse: as in `execute`."""
        self._store = store
        # -P: a folder called mubench in the working directory must not stand in for the installed one
        words = ["-P", "-m", "mubench.running.worker", str(store.root), str(jobs), device]
        words += [] if pulse is None else [str(pulse)]
        self._command = [sys.executable, *words]
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the worker prints into it
        self._guard = threading.Lock()
        self._closed = False

    def _running(self) -> subprocess.Popen[bytes] | None:
        with self._guard:
            if self._closed:
                return None
            if self._process is None or self._process.poll() is not None:
                pipe = subprocess.PIPE
                # in a session of its own, where Ctrl-C in the terminal does not reach it
                self._process = subprocess.Popen(
                    self._command,
                    stdin=pipe,
                    stdout=pipe,
                    stderr=self._errors,
                    env={**MALLOC, **os.environ},
                    start_new_session=True,
                )
            return self._process

    def ready(self) -> None:
        """It always is: a process is started when a cell needs one."""

    def run(self, cell: Cell) -> Reply:
        """Run one cell to its end, timeout or death."""
        process = self._running()
        if process is None:
            return Reply(Status.FAILED, "interrupted")
        assert process.stdin is not None
        assert process.stdout is not None
        limit = min((cell.setting.timeout or threading.TIMEOUT_MAX) + PATIENCE, threading.TIMEOUT_MAX)
        late = threading.Event()

        def stop() -> None:
            late.set()
            _kill(process)

        timer = threading.Timer(limit, stop)
        timer.daemon = True
        try:
            process.stdin.write(CELL.dump_json(cell, by_alias=True) + b"\n")
            process.stdin.flush()
            process.stdout.readline()  # torch is imported, the data are loaded: the cell's time begins
            timer.start()
            reply = REPLY.validate_json(process.stdout.readline())
            if not CAN_FORK:  # the cell ran in the worker itself: the next one gets a clean process
                _kill(process)
                process.wait()
            return reply
        except (OSError, ValueError):  # it died, or close() was called; a ValidationError is a ValueError
            return self._death(process, cell, late.is_set())
        finally:
            timer.cancel()

    def _death(self, process: subprocess.Popen[bytes], cell: Cell, late: bool) -> Reply:
        with suppress(subprocess.TimeoutExpired):
            process.wait(FAREWELL)
        _kill(process)
        code = process.wait()
        reason = f"stopped after the timeout of {cell.setting.timeout:g} s" if late else how_it_ended(code)
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - 10_000))
        words = self._errors.read() + f"[mubench: {reason}]\n".encode()
        with suppress(OSError):
            write_atomic(self._store.log_file(cell.key), words)
        # where somebody else killed it, the cell is not to blame
        return Reply(Status.FAILED if late else Status.LOST if code < 0 else Status.DIED, reason)

    def close(self) -> None:
        """End the process; a cell that it is running is lost, its record is not begun."""
        with self._guard:
            self._closed = True
            if self._process is None:
                return
            assert self._process.stdin is not None
            with suppress(OSError, ValueError):
                self._process.stdin.close()  # it ends its cell, what that left behind, and itself
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(FAREWELL)
            _kill(self._process)
            self._process.wait()
