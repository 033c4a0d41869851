"""What `run` and `tune` share: cells are run with a forecast and progress, and failures are named."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence

from mubench.commands.estimate import LONG_WORK, Forecast, duration, estimate, total_text
from mubench.commands.messages import working_console
from mubench.commands.progress import progress
from mubench.commands.request import Request, keys_by_row
from mubench.errors import printable
from mubench.planning.plan import Plan
from mubench.running.executor import run_on
from mubench.running.outcome import Outcome
from mubench.storage.store import Store, default_store

LOG = logging.getLogger(__name__)

# Hex digits of a key that messages show; `mubench show record` takes them.
SHORT = 12


def run_missing(plan: Plan, request: Request) -> list[Outcome]:
    """Run the cells that are not in the store; how each one ended.

    Raises KeyboardInterrupt, saying what was finished, when Ctrl-C is pressed.
    """
    store, engine = request.store, request.workforce
    store.hold({cell.key for cell in plan.cells} | {key for row in plan.rows for key in row.keys.values()})
    missing = plan.missing(store, request.exclusive_timing)
    if not missing:
        return []
    expected = estimate(plan, missing, store, LONG_WORK)
    try:
        names = {
            key: printable(f"{name}, seed {seed}")
            for name, keys in keys_by_row(plan).items()
            for seed, key in keys.items()
        }
        forecast = Forecast(missing, expected, 1)
        with progress(working_console(), names, forecast, request.most_jobs != 0) as shown:
            workers = engine.workers(missing, store, request.most_jobs, shown.pulse)
            forecast.jobs = len(workers)
            LOG.info("Expected: %s, %d at once.", total_text(expected, forecast.jobs), forecast.jobs)
            outcomes = run_on(workers, missing, store, shown.finish)
    except KeyboardInterrupt:
        left = len(plan.missing(store, request.exclusive_timing))
        raise KeyboardInterrupt(
            f"Interrupted: {len(missing) - left} cells were finished and are saved, {left} are left. "
            "The same command goes on from there."
        ) from None
    finally:
        engine.close()
    for o in outcomes:
        took = duration(o.seconds)
        LOG.debug("%s: %s in %s, record %s", names[o.cell.key], o.status, took, o.cell.key[:SHORT])
    return outcomes


def report_failures(plan: Plan, outcomes: Sequence[Outcome], store: Store) -> None:
    """A line for each row that failed: where, why, and the command that shows more."""
    failed = {o.cell.key: o.reason for o in outcomes if o.status == "failed"}
    elsewhere = "" if store.root == default_store().absolute() else f" --store {shlex.quote(str(store.root))}"
    for name, keys in keys_by_row(plan).items():
        seeds = [seed for seed, key in keys.items() if key in failed]
        if seeds:
            at = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
            key = keys[seeds[0]]
            hint = f"see: mubench show record {key[:SHORT]}{elsewhere}"
            LOG.error("%s", printable(f"{name} failed at {at}: {failed[key]}; {hint}"))
