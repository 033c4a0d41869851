"""A process that runs cells: JSON lines in on stdin, JSON lines out; prints go to the cell's log.

Each reply is {"status": "ok" | "cached" | "busy" | "failed" | "unsaved", "reason"}. A method that
crashes, floods the output or kills the interpreter takes only this process with it.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from filelock import Timeout

from mubench.planning.cell import CELL
from mubench.storage.files import write_atomic
from mubench.storage.store import Store, UnwritableError

# Written to the log's pipe when a cell has ended: what follows belongs to the next one.
END_OF_CELL = b"\x00mubench: end of cell\x00\n"


def explain(error: BaseException, files: tuple[str, ...] = ()) -> str:
    """One line: the error, and the line of the method's file it came from."""
    text = str(error).strip().splitlines()
    reason = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in files]
    if frames:
        reason += f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"
    return reason


def run_one(line: str, store: Store, log: Path | None = None) -> dict[str, str]:
    """Run the cell that `line` describes, unless another run does or did; never raises.

    log: where a traceback is kept too, if nobody keeps what this process prints.
    """
    from mubench.running.cell import run

    cell = CELL.validate_json(line)
    try:
        with store.lock(cell.key).acquire(blocking=False):
            record = store.get(cell.key)
            if record is not None and not (cell.alone and record.about["cost"]["shared"]):
                return {"status": "cached", "reason": ""}
            run(cell, store)
    except Timeout:
        return {"status": "busy", "reason": ""}
    except UnwritableError as error:
        return {"status": "unsaved", "reason": str(error)}
    # a method may raise anything, SystemExit and KeyboardInterrupt among it
    except BaseException as error:
        traceback.print_exc()
        reason = explain(error, (cell.spec.path,) if cell.spec else ())
        if type(error).__name__ == "OutOfMemoryError":  # torch's, on the GPU
            reason += f"; lower batch_size (now {cell.setting.batch_size}) or take a smaller model"
        with suppress(OSError):  # a full disk is reported by the reply alone
            store.put_failure(cell.key, reason)
            if log is not None:
                write_atomic(log, traceback.format_exc().encode(errors="replace"))
        return {"status": "failed", "reason": reason}
    return {"status": "ok", "reason": ""}


def _limit_memory(jobs: int) -> None:
    """An allocation beyond this worker's share of the free memory is an error in the cell, not a
    killing spree of the system's. A lower limit of the user's own stands."""
    try:
        import resource

        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
        own = resource.getrlimit(resource.RLIMIT_DATA)
        limits = [free * 9 // 10 // jobs, *(limit for limit in own if limit != resource.RLIM_INFINITY)]
        resource.setrlimit(resource.RLIMIT_DATA, (min(limits), own[1]))
    except (ImportError, OSError, ValueError, StopIteration):
        pass  # only Linux has all of this; elsewhere the system's own rules hold


def _requests(pipe: TextIO) -> Iterator[str]:
    """The lines of the pipe as they come. When it ends, the run is gone: so is this process then, in the
    middle of a cell too, with all that a method has started."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        for line in pipe:
            waiting.put(line)
        if sys.platform != "win32" and os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        yield waiting.get()


def serve(store: Store, requests: Iterable[str], replies: TextIO) -> None:
    """Answer each request line."""
    import mubench.running.cell  # noqa: F401 - imports torch before the first cell is timed

    replies.write("ready\n")
    replies.flush()
    for line in requests:
        reply = run_one(line, store)
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # a method may have closed them
                stream.flush()
        os.write(2, END_OF_CELL)
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def main() -> None:
    """Keep the real stdout for replies before anything else can print to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    store, jobs, device = Store(Path(sys.argv[1])), int(sys.argv[2]), sys.argv[3]
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    os.dup2(2, 1)  # what a method prints goes to the log, which stderr is
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)  # a method that asks for input gets none instead of eating requests
    if hasattr(os, "register_at_fork"):  # a method's child that lives on must not keep the pipe open
        os.register_at_fork(after_in_child=lambda: os.close(replies.fileno()))
    with suppress(OSError):  # where the system runs out of memory all the same, it takes the worker
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")
    if device == "cpu":
        _limit_memory(jobs)
    serve(store, _requests(requests), replies)


if __name__ == "__main__":
    main()
