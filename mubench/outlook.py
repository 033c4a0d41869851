"""What a run will cost before it starts: the cells and their time, and how fast this machine trains."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from mubench import session, suite
from mubench.data import looks_of
from mubench.device import default_jobs, resolve_device, resolve_precision
from mubench.errors import said_in
from mubench.forecast import Forecast, advice, duration, forecast
from mubench.models import check_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from mubench.cell import Cell
    from mubench.harness import Plan
    from mubench.store import Store


def _cells(
    plan: Plan, missing: Sequence[Cell], store: Store, expected: Forecast | None
) -> list[dict[str, Any]]:
    """A line per row of the table and seed, originals first; those that nothing needs are left out."""
    open_ = {cell.key for cell in missing}
    originals = {cell.seed: cell.key for cell in plan.cells if cell.card is None}
    named = [("original model", originals)]
    for label, part in (plan.classes or {"": plan}).items():
        named += [(f"{row.name} ({label})" if label else row.name, row.keys) for row in part.rows]
    return [
        {
            "row": name,
            "seed": seed,
            "key": key,
            "cached": key not in open_,
            "seconds": expected.seconds.get(key) if expected and key in open_ else None,
        }
        for name, keys in named
        for seed, key in keys.items()
        if key in open_ or store.get(key) is not None
    ]


def plan_suite(request: session.Request, console: Console, errors: Console, as_json: bool) -> int:
    """List the cells of a suite, which of them are in the store, and the expected time of the rest."""
    plan = session.prepare(request)
    missing = plan.missing(request.store)
    jobs = default_jobs(plan.device, plan.suite.threads) if request.jobs is None else request.jobs
    with errors.status("rehearsing the methods, measuring this machine") if missing else nullcontext():
        expected = forecast(plan, missing, request.store, jobs)
    cells = _cells(plan, missing, request.store, expected)
    if as_json:
        about = {
            "suite": request.suite,
            "profile": request.profile,
            "device": plan.device,
            "precision": plan.precision,
            "jobs": jobs,
            "samples_per_second": expected.samples_per_second if expected else None,
            "seconds": expected.total if expected else None,
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
    for row in (row for part in plan.parts for row in part.rows if row.status):
        console.print(f"{row.name}: {row.status}, {row.reason}")
    if expected is None:
        console.print("How long the rest takes could not be found out.")
    elif missing:
        console.print(
            f"{plan.device}, {plan.precision}, {jobs} at once. "
            + advice(expected, plan.device, suite.profiles(suite.find(request.suite)), request.profile)
        )
    else:
        console.print("Everything is in the store.")
    return 0


def speed_suite(
    request: session.Request,
    console: Console,
    errors: Console,
    *,
    threads: int | None,
    rounds: int,
    seconds: float,
    as_json: bool,
) -> int:
    """Measure how fast this machine trains the suite's model, and print it."""
    path, loaded = session.read(request)
    device = resolve_device(request.device)
    precision = resolve_precision(loaded.precision, device)
    with said_in(str(path)):
        check_model(loaded.model)
        looks = looks_of(loaded.dataset, loaded.data, request.store.root / "data")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    from mubench import speed
    from mubench.environment import environment

    work = speed.Workload(
        loaded.model,
        looks.shape,
        looks.classes,
        loaded.batch_size,
        looks.padding,
        looks.flip,
        device,
        threads or cores,
    )
    with errors.status("measuring") as status:
        found = speed.compare(work, precision, rounds=rounds, seconds=seconds, report=status.update)
    import torch

    found = {
        "suite": request.suite,
        "model": work.model,
        "batch_size": work.batch_size,
        "shape": list(work.shape),
        "device": device,
        "threads": work.threads,
        **found,
        "environment": environment(torch.device(device)),
    }
    if as_json:
        console.print_json(json.dumps(found))
        return 0
    from rich.table import Table

    grid = Table("Training loop", "Samples/s", "Against the plain loop", title=f"{work.model}, {path.stem}")
    base = found["samples_per_second"][speed.PLAIN]
    for name, rate in found["samples_per_second"].items():
        mark = "  (this suite)" if name == found["own"] else ""
        grid.add_row(name + mark, f"{rate:,.1f}", f"{rate / base:.2f}x")
    for kind, rate in found["ceiling_samples_per_second"].items():
        flops = found["matmul_flops_per_second"][kind]
        grid.add_row(f"ceiling: {flops / 1e12:.3g} TFLOP/s of {kind} products", f"{rate:,.1f}", "")
    console.print(grid)
    e = found["environment"]
    console.print(
        f"speedup {found['speedup']:.2f}; {found['share_of_ceiling']:.0%} of the ceiling. Batch "
        f"{work.batch_size} of {'x'.join(map(str, work.shape))}, median of {rounds}; {e['hardware']}, "
        f"{device}, {work.threads} thread(s), torch {e['torch']}."
    )
    return 0
