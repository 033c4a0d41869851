"""A method that forks and lets the child go on would be timed for a part of its work, and come back twice."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager

# How long children that the method is ending just now may take, in seconds.
GRACE = 1.0


@contextmanager
def no_forks() -> Iterator[None]:
    """RuntimeError if a forked child came back from the block, where it is ended, or still runs after it.

    Children that were waited for, such as a data loader's, are the method's own business. So are other
    programs that it started: the pipe by which a child is noticed is closed to them.
    """
    if not hasattr(os, "fork"):
        yield
        return
    process = os.getpid()
    reading, writing = os.pipe()
    try:
        yield
    finally:
        if os.getpid() != process:
            os.write(writing, b"x")
            os._exit(1)
        os.close(writing)
        # Nobody else holds the other end: at once. A child does: it wrote, or this takes until GRACE is over.
        ended = bool(select.select([reading], [], [], GRACE)[0]) and os.read(reading, 1) == b""
        os.close(reading)
    if not ended:
        raise RuntimeError("the method forked and its child went on beside it: wait for it in the method")
