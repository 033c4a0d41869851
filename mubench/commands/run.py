"""`mubench run`: plan a suite, train what is missing, write the table, tell what failed."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mubench.commands.render import show
from mubench.commands.request import Request, prepare
from mubench.commands.track import make_tracker, track
from mubench.commands.work import report_failures, run_missing
from mubench.errors import printable
from mubench.planning.plan import Plan
from mubench.reporting import results
from mubench.reporting.tables import Look
from mubench.running.outcome import Outcome

LOG = logging.getLogger(__name__)

if TYPE_CHECKING:
    from rich.console import Console


def run_suite(request: Request, console: Console, wide: bool = False) -> int:
    """Run and render; 0: all well, 1: a method failed (the table is still written).

    wide: every column of the table, on a narrow terminal too.
    """
    started = time.perf_counter()
    tracker = make_tracker(request)  # refused before hours of training, not after
    plan, outcomes = make_records(request, request.folder)
    manifest = results.from_plan(plan, request.name, request.marks)
    metrics, look = request.catalogue.metrics, Look(wide=wide)
    code = show(manifest, request.store, metrics, request.folder, console, look=look)
    report_failures(plan, outcomes, request.store)
    if tracker is not None and request.track is not None:
        track(tracker, request.track, request.folder, request.store)
    seconds = time.perf_counter() - started
    LOG.info("%.1f s; written to %s/", seconds, printable(str(request.folder)))
    return code


def make_records(request: Request, out: Path | None) -> tuple[Plan, list[Outcome]]:
    """Plan, and run what the store lacks; out: the folder for the results, tried before training."""
    request.store.check_writable()
    started = time.perf_counter()
    plan = prepare(request)
    LOG.debug("planned in %.1f s; records in %s", time.perf_counter() - started, request.store.root)
    if out is not None:
        results.check_writable(out)
    for split in (s for block in plan.blocks for s in block.splits.values()):
        request.store.save_text("splits", f"{split.digest}.json", split.to_json())
    stored = len(plan.cells) - len(plan.missing(request.store, request.exclusive_timing))
    jobs = request.jobs_on(plan.device, plan.suite.threads)
    title, where = printable(plan.suite.title), f"{plan.device}, {plan.precision}, {jobs} at once"
    LOG.info("%s: %d cells, %d of them in the store; %s", title, len(plan.cells), stored, where)
    return plan, run_missing(plan, request)
