"""`mubench tune`: search hyper-parameters, write every trial and the best of each method."""

from __future__ import annotations

import csv
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mubench.commands.request import Choice, Request, read
from mubench.commands.work import report_failures, run_missing
from mubench.errors import UsageError, need_package, printable
from mubench.planning.plan import Plan, make_plan
from mubench.reporting.columns import Columns
from mubench.reporting.results import check_writable
from mubench.storage.files import write_atomic
from mubench.tuning.development import Trial, development, tunable, unpinned
from mubench.tuning.score import Score, scores
from mubench.tuning.tuned import FILE, Tuned, methods_text

LOG = logging.getLogger(__name__)
CSV = "tuning.csv"

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from rich.console import Console


def tune_suite(
    request: Request, trials: int, seeds: int, console: Console, storage: str | None = None
) -> int:
    """Run every trial, write tuning.csv, tuned.toml and plots, print the best; 1 if any trial failed.

    storage: the URL of a study that is shared; unless given, trials are repeated from the store.
    """
    if trials < 1 or seeds < 1:
        raise UsageError("--trials and --dev-seeds must be at least 1")
    need_package("optuna", "mubench tune", "tune")
    from mubench.tuning.outcome import frame
    from mubench.tuning.plots import pictures
    from mubench.tuning.storage import open_storage

    request.store.check_writable()
    _ = request.workforce  # refused at once, as all below is before anything is trained
    folder = request.folder_for("tuning")
    _check_no_fewer(folder / CSV, trials, seeds)
    kept = None if storage is None else open_storage(storage)
    choice = read(request)
    rounds = _Rounds(request, choice, trials, seeds, kept)
    check_writable(folder)
    rounds.run()
    shown = frame(rounds.studies, rounds.metrics)
    shown["sets"] = shown["state"].map({"complete": seeds, "pruned": rounds.first}).astype("Int64")
    best = {study.spec.name: one.parameters for study in rounds.studies if (one := study.best())}
    write_atomic(folder / CSV, shown.to_csv(index=False, float_format="%.4f").encode())
    if best:
        tuned = Tuned.of(request.name, choice.suite, rounds.how, best)
        write_atomic(folder / FILE, tuned.text().encode())
    pictures(rounds.studies, rounds.title, folder / "plots")
    console.print(methods_text(best))
    LOG.info("written to %s/", printable(str(folder)))
    return int((shown["state"] == "failed").any())


def _check_no_fewer(path: Path, trials: int, seeds: int) -> None:
    """UsageError if the file holds a longer search, which a shorter one would be written over."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = [*csv.DictReader(file)]
        there = Counter(line["method"] for line in lines)
        sets = max((int(line.get("sets") or 0) for line in lines), default=0)  # older files do not say it
    except (OSError, ValueError, KeyError, csv.Error):  # nothing is there that could be lost
        return
    longest, most = max(there.items(), key=lambda item: item[1], default=("", 0))
    if most > trials:
        clash = f"{most} trials of {printable(longest)}, and --trials {trials}"
    elif sets > seeds:
        clash = f"trials on {sets} development sets, and --dev-seeds {seeds}"
    else:
        return
    raise UsageError(f"{path} holds {clash} would write fewer over them; name another folder with --out")


class _Rounds:
    """Trials in rounds: each method's next ones are asked for, run and told, until all are over."""

    def __init__(
        self, request: Request, choice: Choice, trials: int, seeds: int, storage: BaseStorage | None
    ) -> None:
        """UsageError for whatever is wrong, before anything is run. storage: of a study that is shared."""
        from mubench.tuning.study import open_studies

        self._request, self._choice, self._trials, self._seeds = request, choice, trials, seeds
        self.first = max(1, seeds // 3)  # so many development sets show which trials are hopeless
        specs, left_out = tunable(choice.suite, request.catalogue, choice.names, choice.plugins)
        if left_out:
            LOG.info("without a search space, so not tuned: %s", printable(", ".join(left_out)))
        specs = unpinned(specs, request.pinned)
        plan = self._plan([], seeds)
        self.studies = open_studies(specs, choice.suite, request.name, plan, trials, storage)
        columns = Columns.of(request.catalogue.metrics.values(), choice.suite.headline)
        self.title = columns.headline.title
        self.metrics = [column.name for column in columns.metrics if column.gap]

    @property
    def how(self) -> str:
        """How the parameters were found, for captions."""
        forget_sets = "forget set" if self._seeds == 1 else "forget sets"
        return (
            f"{self._trials} trials per method by mubench tune, on {self._seeds} development {forget_sets}, "
            f"scored by {self.title} on validation images"
        )

    def run(self) -> None:
        """Run what is not over; in the first development sets' light, hopeless trials are given up."""
        first = self.first
        while batch := [(study, one) for study in self.studies for one in study.ask()]:
            found, ran = self._scores([one.trial for _, one in batch], first)
            if first < self._seeds:
                batch = [(s, one) for s, one in batch if not s.hopeless(one, found[one.trial.row], first)]
                found, more = self._scores([one.trial for _, one in batch], self._seeds)
                ran += more
            for study, one in batch:
                study.finish(one, found[one.trial.row])
            if ran:
                LOG.info("%s", printable(self._progress()))

    def _progress(self) -> str:
        over = min(len(study.done()) for study in self.studies)
        best = ((study.spec.name, study.best()) for study in self.studies)
        words = (f"{name} {one.score:.2f} (#{one.number})" if one else f"{name} none" for name, one in best)
        return f"{over} of {self._trials} trials per method; best {self.title} so far: {', '.join(words)}"

    def _plan(self, trials: Sequence[Trial], sets: int) -> Plan:
        request, choice = self._request, self._choice
        suite = development(choice.suite, request.catalogue, self._seeds, trials, sets)
        return make_plan(suite, request.catalogue, request.store, request.device, str(choice.path))

    def _scores(self, trials: Sequence[Trial], sets: int) -> tuple[dict[str, Score], int]:
        """Row -> its score on the first development sets, and how many cells had to be run for it."""
        if not trials:
            return {}, 0
        request, plan = self._request, self._plan(trials, sets)
        missing = len(plan.missing(request.store))
        if missing:
            sets_text = f"development forget set{'s' * (sets > 1)} 1{f' to {sets}' * (sets > 1)}"
            LOG.info("%d trials on %s; %d cells to run", len(trials), sets_text, missing)
            report_failures(plan, run_missing(plan, request), request.store)
        return scores(plan, trials, request.store, request.catalogue), missing
