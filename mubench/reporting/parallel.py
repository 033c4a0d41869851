"""The same work on many things, on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from mubench.planning.device import cores
from mubench.running.isolation import fork

# With fewer, the start of processes takes as long as they save.
WORTH_IT = 4


def on_all_cores(work: Callable[[str], object], names: Sequence[str]) -> None:
    """Call `work` with each name, in forked processes: it must leave what it makes on disk.

    What it raises is lost, as is what a process that dies had still to do; the caller does that again. Does
    nothing for few names, on one core, or where processes cannot be forked.
    """
    count = min(cores(), len(names))
    if count < 2 or len(names) < WORTH_IT or not hasattr(os, "fork"):
        return
    children = []
    for i in range(count):
        pid = fork()
        if pid == 0:
            _each(work, names[i::count])
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)


def _each(work: Callable[[str], object], names: Sequence[str]) -> None:
    """In the child: nothing returns to the parent's code."""
    try:
        for name in names:
            try:
                work(name)
            except Exception:  # the parent meets it again
                continue
    finally:
        os._exit(0)
