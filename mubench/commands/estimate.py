"""How long the cells that are left will take, from what was measured before; no plugin's code is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mubench.planning.cell import Cell
from mubench.planning.plan import Plan
from mubench.storage.store import Store


def estimate(plan: Plan, missing: Sequence[Cell], store: Store) -> dict[str, float | None]:
    """Cell key -> expected seconds, None where nothing is known."""
    return {cell.key: None for cell in missing}


def total(seconds: Mapping[str, float | None], jobs: int) -> float | None:
    """Seconds for all of them, `jobs` at once; None if one is not known."""
    known = [s for s in seconds.values() if s is not None]
    return sum(known) / max(1, jobs) if len(known) == len(seconds) else None


def duration(seconds: float) -> str:
    """ "12 s", "5 min", "3 h 20 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
