"""What a run will cost before it starts: the cells and their time, and how fast this machine trains."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mubench.commands.estimate import duration, estimate, total
from mubench.commands.request import Request, prepare
from mubench.planning.device import default_jobs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from mubench.planning.cell import Cell
    from mubench.planning.plan import Plan
    from mubench.storage.store import Store


def _cells(
    plan: Plan, missing: Sequence[Cell], store: Store, expected: Mapping[str, float | None]
) -> list[dict[str, Any]]:
    """A line per row of the table and seed, originals first; those that nothing needs are left out."""
    open_ = {cell.key for cell in missing}
    originals = {cell.seed: cell.key for cell in plan.cells if cell.spec is None}
    named = [("original model", originals)]
    for block in plan.blocks:
        end = f" ({block.label})" if block.label else ""
        named += [(f"{row.name}{end}", row.keys) for row in block.rows]
    return [
        {
            "row": name,
            "seed": seed,
            "key": key,
            "cached": key not in open_,
            "seconds": expected.get(key),
        }
        for name, keys in named
        for seed, key in keys.items()
        if key in open_ or store.get(key) is not None
    ]


def plan_suite(request: Request, console: Console, errors: Console, as_json: bool) -> int:
    """List the cells of a suite, which of them are in the store, and the expected time of the rest."""
    plan = prepare(request)
    missing = plan.missing(request.store)
    jobs = default_jobs(plan.device, plan.suite.threads) if request.jobs is None else request.jobs
    expected = estimate(plan, missing, request.store)
    seconds = total(expected, jobs)
    cells = _cells(plan, missing, request.store, expected)
    if as_json:
        about = {
            "suite": request.suite,
            "profile": request.profile,
            "device": plan.device,
            "precision": plan.precision,
            "jobs": jobs,
            "seconds": seconds,
            "cells": cells,
        }
        console.print_json(json.dumps(about))
        return 0
    from rich.table import Table

    grid = Table("Row", "Cells", "In the store", "Expected for the rest", title=plan.suite.title)
    for name in dict.fromkeys(c["row"] for c in cells):
        own = [c for c in cells if c["row"] == name]
        rest = [c["seconds"] for c in own if not c["cached"]]
        known = duration(sum(rest)) if rest and None not in rest else "" if not rest else "unknown"
        grid.add_row(name, str(len(own)), str(sum(c["cached"] for c in own)), known)
    console.print(grid)
    for row in (r for r in plan.rows if r.status):
        console.print(f"{row.name}: {row.status}, {row.reason}")
    if not missing:
        console.print("Everything is in the store.")
    else:
        expected_time = "an unknown time" if seconds is None else f"about {duration(seconds)}"
        console.print(f"{plan.device}, {plan.precision}, {jobs} at once: {expected_time}.")
    return 0
