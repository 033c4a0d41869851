"""A process that runs cells: JSON lines in on stdin, JSON lines out; prints go to the cell's log.

Each reply is {"status": "ok" | "cached" | "busy" | "failed", "reason"}. A method that crashes, floods
the output or kills the interpreter takes only this process with it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from filelock import Timeout

from mubench.cell import CELL
from mubench.store import Store

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


def run_one(line: str, store: Store) -> dict[str, str]:
    """Run the cell that `line` describes, unless another run does or did; never raises."""
    from mubench.runner import run

    cell = CELL.validate_json(line)
    process = os.getpid()
    try:
        with store.lock(cell.key).acquire(blocking=False):
            record = store.get(cell.key)
            if record is not None and (cell.shared or not record.about["cost"]["shared"]):
                return {"status": "cached", "reason": ""}
            run(cell, store)
    except Timeout:
        return {"status": "busy", "reason": ""}
    # a method may raise anything, SystemExit and KeyboardInterrupt among it
    except BaseException as error:
        if os.getpid() != process:
            os._exit(1)  # a child that the method forked has no business here
        traceback.print_exc()
        reason = explain(error, (cell.card.path,) if cell.card else ())
        with suppress(OSError):  # a full disk is reported by the reply alone
            store.put_failure(cell.key, reason)
        return {"status": "failed", "reason": reason}
    return {"status": "ok", "reason": ""}


def _limit_memory(jobs: int) -> None:
    """An allocation beyond this worker's share of the free memory is an error in the cell, not a
    killing spree of the system's. Where the system has to choose all the same, it takes the worker."""
    try:
        import resource

        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
        resource.setrlimit(resource.RLIMIT_DATA, (free * 9 // 10 // jobs, resource.RLIM_INFINITY))
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")
    except (ImportError, OSError, ValueError, StopIteration):
        pass  # only Linux has all of this; elsewhere the system's own rules hold


def serve(store: Store, requests: TextIO, replies: TextIO) -> None:
    """Answer each request line until the input ends."""
    import mubench.runner  # noqa: F401 - imports torch before the first cell is timed

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
    if device == "cpu":
        _limit_memory(jobs)
    serve(store, requests, replies)


if __name__ == "__main__":
    main()
