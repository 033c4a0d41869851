"""Runs work in a forked child, so that nothing it changes in its process outlives it.

The parent must have computed nothing with torch: a child could not use its thread pool or CUDA context.
"""

from __future__ import annotations

import ctypes
import gc
import os
import select
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

CAN_FORK = hasattr(os, "fork")
# Seconds that a child may live on after it closed the pipe of its reply.
GRACE = 2.0
# How often a child that is silent is looked at, in seconds.
TICK = 0.1
REPLY_LIMIT = 1 << 16
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36

Output = Callable[[bytes], None]


class ChildDiedError(Exception):
    """The child ended without a reply; the text says how. late: it was stopped at its timeout."""

    def __init__(self, reason: str, late: bool = False) -> None:
        super().__init__(reason)
        self.late = late


def fork() -> int:
    """`os.fork` without the warning that Python has from 3.12 on wherever the process has threads.

    The child collects its own garbage without touching, hence copying, the pages of what was there before.
    """
    gc.freeze()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
    except OSError:
        gc.unfreeze()
        raise
    if pid:
        gc.unfreeze()
    return pid


def how_it_ended(code: int) -> str:
    """What an exit code (or -signal) of a cell's process means, as a reason."""
    if code >= 0:
        return f"its process ended by itself with exit code {code}"
    hint = "; was the memory exhausted?" if -code == signal.SIGKILL else ""
    return f"its process was ended by signal {signal.Signals(-code).name}{hint}"


def _prctl(option: int, value: int) -> None:
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def adopt_orphans() -> None:
    """On Linux: become the parent of every process that children leave behind, so that it can be ended."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _children() -> list[int]:
    with suppress(OSError):
        files = Path("/proc/self/task").glob("*/children")
        return [int(pid) for file in files for pid in file.read_text(encoding="ascii").split()]
    return []


def _kill(pid: int, kill: Callable[[int, int], None] = os.kill) -> None:
    with suppress(OSError):
        kill(pid, signal.SIGKILL)


class _Child:
    """A forked process that works, writes one line of reply and exits."""

    def __init__(
        self, work: Callable[[], bytes], terminal: bool, capture: bool, private: Sequence[int]
    ) -> None:
        self._reply, reply = os.pipe()
        self.prints: int | None = None
        prints: int | None = None
        if capture:
            self.prints, prints = os.pipe()
        self._terminal = terminal
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = fork()
        if self.pid == 0:
            for fd in private:
                os.close(fd)
            self._run(work, reply, prints)
        os.close(reply)
        if prints is not None:
            os.close(prints)
        self.code: int | None = None

    def _run(self, work: Callable[[], bytes], reply: int, prints: int | None) -> NoReturn:
        """In the child: work, answer, exit; nothing returns to the parent's code."""
        code, process = 1, os.getpid()
        try:
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # not to outlive a parent that is killed
            if not self._terminal:
                os.setsid()
            if prints is not None:
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # nobody answers a method that asks for input
                os.dup2(prints, 1)
                os.dup2(prints, 2)
            answer = work()
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError):  # a method may have closed them
                    stream.flush()
            if os.getpid() == process:  # not a child of a method's
                os.write(reply, answer + b"\n")
                code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def wait(self, timeout: float | None, output: Output, lifeline: int | None) -> bytes:
        """The line it replies; ChildDiedError without one, SystemExit if the lifeline's other end closed."""
        started, closed_at, line = time.monotonic(), None, b""
        watched = {fd for fd in (self._reply, self.prints, lifeline) if fd is not None}
        while True:
            ready, _, _ = select.select(watched, [], [], TICK)
            if lifeline in ready:
                raise SystemExit(1)
            if self.prints is not None and self.prints in ready:
                output(printed := os.read(self.prints, 1 << 16))
                if not printed:
                    watched.remove(self.prints)
            if self._reply in ready:
                line += (part := os.read(self._reply, REPLY_LIMIT))
                if b"\n" in line or len(line) >= REPLY_LIMIT:
                    return line.partition(b"\n")[0]
                if not part:
                    watched.remove(self._reply)
                    closed_at = time.monotonic()
            elif self._died():
                if self._reply not in watched or not select.select([self._reply], [], [], 0)[0]:
                    raise ChildDiedError(how_it_ended(self.code or 0))
            elif timeout and time.monotonic() - started > timeout:
                raise ChildDiedError(f"stopped after the timeout of {timeout:g} s", late=True)
            elif closed_at and time.monotonic() - closed_at > GRACE:
                raise ChildDiedError("its process closed its files and went on; it was ended")

    def _died(self) -> bool:
        if self.code is None and (status := os.waitpid(self.pid, os.WNOHANG))[0]:
            self.code = os.waitstatus_to_exitcode(status[1])
        return self.code is not None

    def end(self, output: Output) -> None:
        """Kill it with all that it left behind, and pass on what it had still printed."""
        if not self._terminal:
            _kill(self.pid, os.killpg)
        if self.code is None:
            _kill(self.pid)
            os.waitpid(self.pid, 0)
        while not self._terminal and (orphans := _children()):
            for pid in orphans:
                _kill(pid)
                with suppress(OSError):
                    os.waitpid(pid, 0)
        os.close(self._reply)
        if self.prints is not None:
            os.set_blocking(self.prints, False)
            with suppress(BlockingIOError):
                while printed := os.read(self.prints, 1 << 16):
                    output(printed)
            os.close(self.prints)


def run_forked(
    work: Callable[[], bytes],
    *,
    terminal: bool = False,
    timeout: float | None = None,
    output: Output | None = None,
    lifeline: int | None = None,
    private: Sequence[int] = (),
) -> bytes:
    """Run `work` in a forked child and return the line that it returns there; afterwards the child is dead.

    terminal: leave the child in the terminal's process group; otherwise it leads a session, and all that it
    leaves behind is ended too. timeout: in seconds. output: takes what the child prints, which otherwise goes
    where this process prints. lifeline: a pipe; when its other end closes, the child is ended and SystemExit
    raised. private: open files that the child must not have.

    Raises ChildDiedError if the child dies, or is stopped, before it has replied.
    """
    child = _Child(work, terminal, output is not None, private)
    take = output or (lambda _: None)
    try:
        return child.wait(timeout, take, lifeline)
    finally:
        child.end(take)
