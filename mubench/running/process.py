"""A worker process seen from outside: started when needed, again after it died, its prints kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import IO, BinaryIO

from mubench.planning.cell import CELL, Cell
from mubench.running.worker import END_OF_CELL
from mubench.storage.files import open_new
from mubench.storage.store import Store

# A cell's log keeps this much; a flood beyond it is read and dropped.
LOG_LIMIT = 1 << 20


class _Log:
    """Reads what a worker prints, for as long as it lives, into the current cell's file."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._file: BinaryIO | None = None
        self._room = 0
        self._ended = threading.Event()
        self._guard = threading.Lock()
        threading.Thread(target=self._pump, daemon=True).start()

    def open(self, store: Store, key: str) -> None:
        with self._guard, suppress(OSError):  # no log is no reason not to run
            self._ended.clear()
            self._file, self._room = open_new(store.log_file(key)), LOG_LIMIT

    def close(self, last_words: str = "") -> None:
        """Wait until what was printed has arrived; a dead worker's pipe has ended by itself."""
        self._ended.wait(1.0)
        with self._guard, suppress(OSError):
            if self._file is not None:
                self._file.write(last_words.encode())
                self._file.close()
            self._file = None

    def _pump(self) -> None:
        for line in iter(lambda: self._stream.readline(1 << 16), b""):
            text, end, _ = line.partition(END_OF_CELL)
            with self._guard, suppress(OSError):
                if self._file is not None and self._room > 0:
                    self._file.write(text[: self._room])
                    self._room -= len(text)
                    if self._room <= 0:
                        self._file.write(b"\n[mubench: the output was cut here]\n")
                    self._file.flush()
            if end:
                self._ended.set()
        self._ended.set()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a worker and, also if it is dead already, whatever its methods have left running."""
    if sys.platform != "win32":
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


class Process:
    """One worker process."""

    def __init__(self, store: Store, jobs: int, device: str) -> None:
        """`jobs` workers share the machine's memory; `device` is "cpu" or "cuda"."""
        self._store = store
        # -P: a folder called mubench in the working directory must not stand in for the installed one
        self._command = [
            sys.executable,
            "-P",
            "-m",
            "mubench.running.worker",
            str(store.root),
            str(jobs),
            device,
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._log: _Log | None = None
        self._guard = threading.Lock()
        self._ready = False
        self._closed = False

    def _running(self) -> tuple[subprocess.Popen[bytes], _Log] | None:
        with self._guard:
            if self._closed:
                return None
            if self._process is None or self._log is None or self._process.poll() is not None:
                pipe = subprocess.PIPE
                # a session of its own: what a method starts can be ended with it
                self._process = subprocess.Popen(
                    self._command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
                )
                assert self._process.stderr is not None
                self._log = _Log(self._process.stderr)
                self._ready = False
            return self._process, self._log

    def run(self, cell: Cell) -> tuple[str, str]:
        """Run one cell to its end, timeout or death: (status, reason)."""
        running = self._running()
        if running is None:
            return "failed", "interrupted"
        process, log = running
        assert process.stdin is not None
        assert process.stdout is not None
        log.open(self._store, cell.key)
        if not self._ready:
            self._ready = bool(process.stdout.readline())  # torch is imported: the cell's time begins
        late = threading.Event()

        def stop() -> None:
            late.set()
            _kill(process)

        timer = threading.Timer(cell.setting.timeout or threading.TIMEOUT_MAX, stop)
        timer.daemon = True
        timer.start()
        try:
            process.stdin.write(CELL.dump_json(cell, by_alias=True) + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = b""
        finally:
            timer.cancel()
        if line.endswith(b"\n"):
            log.close()
            reply = json.loads(line)
            if reply["status"] == "failed" or late.is_set():
                _kill(process)  # the memory it filled, the processes it left: nothing reaches the next cell
                process.wait()
            return reply["status"], reply["reason"]
        reason = self._obituary(process, late.is_set(), cell.setting.timeout)
        _kill(process)
        log.close(f"[mubench: {reason}]\n")
        if not self._closed:
            with suppress(OSError):
                self._store.put_failure(cell.key, reason)
        return "failed", reason

    @staticmethod
    def _obituary(process: subprocess.Popen[bytes], late: bool, timeout: float | None) -> str:
        code = process.wait()
        if late:
            return f"stopped after the timeout of {timeout:g} s"
        if code < 0:
            hint = "; was the memory exhausted?" if -code == signal.SIGKILL else ""
            return f"its process was ended by signal {signal.Signals(-code).name}{hint}"
        return f"its process ended by itself with exit code {code}"

    def close(self) -> None:
        """End the process; a cell it is running is lost, its record is not begun."""
        with self._guard:
            self._closed = True
            if self._process is not None:
                _kill(self._process)
                self._process.wait()
