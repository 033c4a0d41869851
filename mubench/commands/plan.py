"""`mubench plan`: the cells of a suite, which of them are in the store, and the expected time of the rest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mubench.commands.estimate import duration, estimate, total_text
from mubench.commands.request import Request, keys_by_row, prepare_with_reference
from mubench.commands.track import make_tracker
from mubench.errors import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from mubench.planning.cell import Cell
    from mubench.planning.plan import Plan
    from mubench.storage.store import Store


def _lines(
    plan: Plan, missing: Sequence[Cell], store: Store, expected: Mapping[str, float | None]
) -> list[dict[str, Any]]:
    """A line per row of the table and seed, originals first; those that nothing needs are left out."""
    absent = {cell.key for cell in missing}
    return [
        {"row": name, "seed": seed, "key": key, "cached": key not in absent, "seconds": expected.get(key)}
        for name, keys in keys_by_row(plan).items()
        for seed, key in keys.items()
        if key in absent or store.get(key, arrays=False) is not None
    ]


def _row_time(seconds: Sequence[float | None]) -> str:
    """The expected time of a row's cells that are not in the store."""
    known = [s for s in seconds if s is not None]
    if not seconds:
        return ""
    return duration(sum(known)) if len(known) == len(seconds) else "unknown"


def plan_suite(request: Request, console: Console, as_json: bool) -> int:
    """Print the plan; nothing is trained, and no method is run.

    Raises UsageError for whatever a run would refuse.
    """
    _ = request.workforce
    make_tracker(request)
    plan, reference = prepare_with_reference(request)
    missing = plan.missing(request.store, request.exclusive_timing, arrays=False)
    jobs = request.jobs_on(plan.device, plan.suite.threads)
    expected = estimate(plan, missing, request.store)
    cells = _lines(plan, missing, request.store, expected)
    if as_json:
        known = [s for s in expected.values() if s is not None]
        facts = {
            "suite": request.suite,
            "profile": request.profile,
            "device": plan.device,
            "precision": plan.precision,
            "jobs": jobs,
            "seconds": sum(known) / max(1, jobs),
            "unknown": len(expected) - len(known),
            "cells": cells,
        }
        console.print_json(json.dumps(facts))
        return 0
    from rich.table import Table

    grid = Table("Row", "Cells", "In the store", "Expected", title=printable(plan.suite.title))
    by_row: dict[str, list[dict[str, Any]]] = {}
    for cell in cells:
        by_row.setdefault(cell["row"], []).append(cell)
    for name, own in by_row.items():
        stored = sum(c["cached"] for c in own)
        rest = [c["seconds"] for c in own if not c["cached"]]
        grid.add_row(printable(name), str(len(own)), str(stored), _row_time(rest))
    console.print(grid)
    if reference is not None:
        console.print(
            printable(f"Not trained, from {reference.archive.path.name}: {', '.join(reference.there)}")
        )
    for row in (row for row in plan.rows if row.status):
        console.print(printable(f"{row.name}: {row.status}, {row.reason}"))
    if missing:
        console.print(f"{plan.device}, {plan.precision}, {jobs} at once: {total_text(expected, jobs)}.")
    else:
        console.print("Everything is in the store.")
    return 0
