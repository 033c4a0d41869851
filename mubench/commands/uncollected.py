"""Work that makes much and throws little away, without the search for garbage that finds none."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Nobody looks for cycles inside: a command that only reads is done in a twentieth less time.

    Around the whole command, since what it imports makes much as well.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
