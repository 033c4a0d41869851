"""A process that runs cells: JSON lines in on stdin, JSON lines out; prints go to the cell's log.

Each reply is {"key", "status": "ok" | "cached" | "failed", "reason", "seconds"}. A method that
crashes, floods the output or kills the interpreter takes only this process with it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

from mubench.cell import CELL
from mubench.store import Store


def explain(error: BaseException, files: tuple[str, ...] = ()) -> str:
    """One line: the error, and the line of the method's file it came from."""
    text = str(error).strip().splitlines()
    reason = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in files]
    if frames:
        reason += f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"
    return reason


def run_one(line: str, store: Store) -> dict[str, Any]:
    """Run the cell that `line` describes, unless another run did meanwhile; never raises."""
    from mubench.runner import run

    cell = CELL.validate_json(line)
    started = time.perf_counter()
    status, reason = "ok", ""
    with store.lock(cell.key):
        if store.get(cell.key) is not None:
            status = "cached"
        else:
            try:
                run(cell, store)
            # a method may raise anything, SystemExit and KeyboardInterrupt among it
            except BaseException as error:
                traceback.print_exc()
                status = "failed"
                reason = explain(error, (cell.card.path,) if cell.card else ())
                store.put_failure(cell.key, reason)
    seconds = time.perf_counter() - started
    return {"key": cell.key, "status": status, "reason": reason, "seconds": seconds}


def _redirect(path: Path) -> None:
    """Point the process's stdout and stderr, C code's too, at the cell's log."""
    sys.stdout.flush()
    sys.stderr.flush()
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def serve(store: Store, requests: TextIO, replies: TextIO) -> None:
    """Answer each request line until the input ends."""
    import mubench.runner  # noqa: F401 - imports torch before the first cell is timed

    for line in requests:
        _redirect(store.log_file(json.loads(line)["key"]))
        reply = run_one(line, store)
        sys.stdout.flush()
        sys.stderr.flush()
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def main() -> None:
    """Keep the real stdout for replies before anything else can print to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)  # a method that asks for input gets none instead of eating requests
    serve(Store(Path(sys.argv[1])), requests, replies)


if __name__ == "__main__":
    main()
