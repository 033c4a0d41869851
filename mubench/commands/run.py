"""`mubench run`: plan a suite, train what is missing, write the table, tell what failed."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mubench.commands.reference import Reference
from mubench.commands.render import exit_code, show
from mubench.commands.request import Request, prepare_with_reference
from mubench.commands.track import make_tracker, track_cells
from mubench.commands.work import report_failures, run_missing
from mubench.errors import printable
from mubench.planning.plan import Plan
from mubench.reporting import results
from mubench.reporting.kept import Kept, kept_cells
from mubench.reporting.manifest import Manifest
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
    plan, outcomes, reference = make_records(request, request.folder)
    manifest, source, kept = as_run(request, plan, reference)
    metrics, look = request.catalogue.metrics, Look(wide=wide)
    shown = show(manifest, request.store, metrics, request.folder, console, source, kept, look)
    report_failures(plan, outcomes, request.store)
    if tracker is not None:
        track_cells(tracker, *shown, request)
    seconds = time.perf_counter() - started
    LOG.info("%.1f s; written to %s/", seconds, printable(str(request.folder)))
    return exit_code(shown[1])


def as_run(
    request: Request, plan: Plan, reference: Reference | None
) -> tuple[Manifest, Path | None, Kept | None]:
    """The manifest of a run, the folder of its reference and the numbers there; None of them without one."""
    manifest = results.from_plan(plan, request.name, request.marks)
    if reference is None:
        return manifest, None, None
    source = reference.folder
    return reference.marked(manifest), source, kept_cells(source)


def make_records(request: Request, out: Path | None) -> tuple[Plan, list[Outcome], Reference | None]:
    """Plan, and run what the store lacks; out: the folder for the results, tried before training."""
    request.store.check_writable()
    _ = request.workforce  # refused before hours of decoding, not after
    started = time.perf_counter()
    plan, reference = prepare_with_reference(request)
    LOG.debug("planned in %.1f s; records in %s", time.perf_counter() - started, request.store.root)
    if reference is not None:
        reference.take_in(request.store)
    if out is not None:
        results.check_writable(out)
    for split in (s for block in plan.blocks for s in block.splits.values()):
        request.store.save_text("splits", f"{split.digest}.json", split.to_json())
    stored = len(plan.cells) - len(plan.missing(request.store, request.exclusive_timing))
    title, where = printable(plan.suite.title), f"{plan.device}, {plan.precision}"
    LOG.info("%s: %d cells, %d of them in the store; %s", title, len(plan.cells), stored, where)
    return plan, run_missing(plan, request), reference
