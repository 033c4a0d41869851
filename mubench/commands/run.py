"""One `mubench run` from request to table: plan, train what is missing, render, report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mubench.commands.estimate import duration, estimate, total
from mubench.commands.progress import _progress
from mubench.commands.render import show
from mubench.commands.request import Request, _marks, prepare
from mubench.planning.device import default_jobs
from mubench.planning.plan import Block
from mubench.reporting import results
from mubench.running.executor import Outcome, execute
from mubench.storage.store import Store

if TYPE_CHECKING:
    from rich.console import Console


def run_suite(request: Request, console: Console, errors: Console) -> int:
    """Run and render; 0: all well, 1: a method failed (the table is still written)."""
    started = time.perf_counter()
    request.store.check_writable()
    plan = prepare(request)
    results.check_writable(request.folder)
    for split in (s for block in plan.blocks for s in block.splits.values()):
        request.store.save_text("splits", f"{split.digest}.json", split.to_json())
    missing = plan.missing(request.store, request.exclusive_timing)
    jobs = default_jobs(plan.device, plan.suite.threads) if request.jobs is None else request.jobs
    jobs = min(jobs, 1) if request.exclusive_timing else jobs
    errors.print(
        f"{plan.suite.title}: {len(plan.cells)} cells, {len(plan.cells) - len(missing)} of them in the "
        f"store; {plan.device}, {plan.precision}, {jobs} at once"
    )
    expected = total(estimate(plan, missing, request.store), jobs)
    if missing and expected is not None:
        errors.print(f"About {duration(expected)}.")
    try:
        with _progress(errors, len(missing)) as report:
            outcomes = execute(missing, request.store, jobs, report)
    except KeyboardInterrupt:
        left = len(plan.missing(request.store, request.exclusive_timing))
        errors.print(
            f"Interrupted: {len(missing) - left} cells were finished and are saved, {left} are left. "
            "The same command goes on from there."
        )
        return 130
    manifest = results.from_plan(plan, Path(request.suite).stem, _marks(request))
    code = show(manifest, request.store, request.catalogue.metrics, request.folder, console)
    failed = {o.cell.key: o for o in outcomes if o.status == "failed"}
    for block in plan.blocks:
        _say_failures(block, failed, request.store, errors)
    errors.print(f"{time.perf_counter() - started:.1f} s; written to {request.folder}/")
    return code


def _say_failures(block: Block, failed: Mapping[str, Outcome], store: Store, errors: Console) -> None:
    """A line for each row that failed, and the class forgotten, where there are several."""
    for row in block.rows:
        seeds = [seed for seed, key in row.keys.items() if key in failed]
        if seeds:
            first = failed[row.keys[seeds[0]]]
            name = f"{row.name} ({block.label})" if block.label else row.name
            at = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
            errors.print(f"{name} failed at {at}: {first.reason}; log: {store.log_file(first.cell.key)}")
