"""`mubench tune`: search hyper-parameters, write every trial and the best of each method."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from mubench.commands.request import Request, read
from mubench.commands.search import as_toml, development, score, winners
from mubench.commands.work import report_failures, run_missing
from mubench.errors import UsageError, printable
from mubench.planning.plan import make_plan
from mubench.reporting.results import check_writable
from mubench.storage.files import write_atomic

LOG = logging.getLogger(__name__)

if TYPE_CHECKING:
    from rich.console import Console


def tune_suite(request: Request, trials: int, seeds: int, console: Console) -> int:
    """Run every trial, write tuning.csv and tuning.toml, print the best; 1 if any trial failed."""
    if trials < 1 or seeds < 1:
        raise UsageError("--trials and --dev-seeds must be at least 1")
    request.store.check_writable()
    choice = read(request)
    names = choice.names or list(choice.suite.methods)
    names += [spec.name for spec in choice.plugins if spec.name not in names]
    folder = request.folder_for("tuning")
    best: dict[str, dict[str, Any]] | None = None
    for stage in ("spread over the search space", "close to the best"):
        suite, drawn = development(choice.suite, request.catalogue, names, trials, seeds, best)
        plan = make_plan(suite, request.catalogue, request.store, request.device, str(choice.path))
        check_writable(folder)
        missing = len(plan.missing(request.store))
        where = f"on {seeds} development forget sets"
        LOG.info("%d trials %s, %s; %d cells to run", len(drawn), stage, where, missing)
        report_failures(plan, run_missing(plan, request), request.store)
        frame = score(plan, drawn, request.store, request.catalogue)
        best = winners(frame)
    shown = frame.assign(parameters=frame["parameters"].map(json.dumps))
    write_atomic(folder / "tuning.csv", shown.to_csv(index=False, float_format="%.4f").encode())
    write_atomic(folder / "tuning.toml", as_toml(frame).encode())
    console.print(as_toml(frame))
    LOG.info("written to %s/", printable(str(folder)))
    return int(frame["score"].isna().any())
