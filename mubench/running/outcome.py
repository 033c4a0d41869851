"""How a cell ended, and why: one clean line."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import TypeAdapter

from mubench import errors
from mubench.planning.cell import Cell

# Longer reasons are cut: they stand in a table's footnote.
REASON_LIMIT = 500


class Status(StrEnum):
    """OK: recorded now. CACHED: recorded before. BUSY: another run works on it. DIED: its process ended
    before it could answer. LOST: its worker did, or the machine of that. UNSAVED: the store takes no more."""

    OK = "ok"
    CACHED = "cached"
    BUSY = "busy"
    FAILED = "failed"
    DIED = "died"
    LOST = "lost"
    UNSAVED = "unsaved"


@dataclass(frozen=True)
class Reply:
    """What the process of a cell answers."""

    status: Status
    reason: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a cell of a run ended: OK, CACHED or FAILED, and after how many seconds."""

    cell: Cell
    status: Status
    reason: str = ""
    seconds: float = 0.0


REPLY: TypeAdapter[Reply] = TypeAdapter(Reply)


def one_line(text: str, limit: int = REASON_LIMIT) -> str:
    """`text` on one line that any terminal and file takes: control characters and lone surrogates escaped."""
    clean = errors.one_line(text)
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."


def explain(error: BaseException, files: tuple[str, ...] = ()) -> str:
    """One line: the error's type and first line, and the line of one of `files` that it came from."""
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    reason = one_line(text, REASON_LIMIT - 100)  # with room for what follows
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in files]
    if frames:
        reason += f" ({one_line(Path(frames[-1].filename).name)}, line {frames[-1].lineno})"
    return reason
