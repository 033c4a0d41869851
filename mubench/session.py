"""One `mubench run` from request to table: plan, train what is missing, render, report."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mubench import forecast, harness, registry, results, suite, tuning
from mubench.device import default_jobs
from mubench.errors import UsageError, unknown
from mubench.executor import Outcome, execute
from mubench.metrics import all_metrics, evaluate_row
from mubench.outputs import SETS, Outputs
from mubench.report import terminal_table
from mubench.store import Store, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console


@dataclass(frozen=True)
class Request:
    """What the user asked for; the fields are the options of `mubench run`."""

    suite: str
    store: Store
    methods: str | None = None
    seeds: int | None = None
    plugins: tuple[Path, ...] = ()
    profile: str | None = None
    sets: tuple[str, ...] = ()
    device: str = "auto"
    precision: str | None = None
    jobs: int | None = None
    exclusive_timing: bool = False
    out: Path | None = None

    @property
    def overrides(self) -> dict[str, Any]:
        """What makes this run another one than the suite's own, for its manifest and folder."""
        asked = {
            "methods": self.methods,
            "seeds": self.seeds,
            "plugins": [p.name for p in self.plugins],
            "set": list(self.sets),
            "precision": self.precision,
        }
        return {k: v for k, v in asked.items() if v}

    @property
    def folder(self) -> Path:
        """`out`, or results/<suite>, with the profile's name and a mark if anything was overridden."""
        if self.out is not None:
            return self.out
        parts = [Path(self.suite).stem]
        if self.profile:
            parts.append(self.profile)
        if self.overrides:
            text = json.dumps(self.overrides, sort_keys=True)
            parts.append("custom-" + hashlib.sha256(text.encode()).hexdigest()[:6])
        return Path("results") / "-".join(parts)


def _check_metrics(options: Mapping[str, Mapping[str, Any]], where: str) -> None:
    """Try the metrics that a suite sets options for on four made-up images, before anything is trained."""
    known = all_metrics()
    logits, labels = np.eye(2, dtype=np.float32), np.arange(2)
    tiny = Outputs(dict.fromkeys(SETS, logits), dict.fromkeys(SETS, labels))
    for name in options:
        if name not in known:
            raise unknown("metric", name, known, f"{where}: [metrics]")
    try:
        chosen = {name: known[name] for name in options}
        evaluate_row(chosen, [tiny], [tiny], options)
    except ValueError as error:
        raise UsageError(f"{where}: [metrics]: {error}") from None


def _names(methods: str | None) -> list[str]:
    names = [n.strip() for n in methods.split(",") if n.strip()] if methods else []
    if methods is not None and not names:
        raise UsageError("--methods names no method")
    if twice := [n for n in names if names.count(n) > 1]:
        raise UsageError(f"--methods names {twice[0]!r} twice")
    return names


def read(request: Request) -> tuple[Path, suite.Suite]:
    """The suite's file, and what it says with the profile and the overrides applied."""
    path = suite.find(request.suite)
    changes = [suite.parse_set(s) for s in request.sets]
    if request.precision is not None:
        changes.append({"precision": request.precision})
    return path, suite.load(path, request.profile, changes)


def prepare(request: Request) -> harness.Plan:
    """Read the suite and everything it names; UsageError for whatever is wrong."""
    path, loaded = read(request)
    if request.seeds is not None:
        if not 0 < request.seeds <= len(loaded.seeds):
            raise UsageError(
                f"--seeds {request.seeds}: the suite has {len(loaded.seeds)} seeds; ask for 1 to that"
            )
        loaded = loaded.model_copy(update={"seeds": loaded.seeds[: request.seeds]})
    _check_metrics(loaded.metrics, str(path))
    known = registry.load(request.plugins, request.store.root / "cards")
    names = _names(request.methods)
    given = {p.resolve() for p in request.plugins}
    extra = [c for c in known.methods.values() if Path(c.path) in given and not c.module]
    chosen = harness.select(loaded, known, names, extra)
    return harness.make_plan(chosen, known, request.store, request.device, str(path))


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Callable[[Outcome], None]]:
    """A bar with the time left, on a terminal only."""
    if not console.is_terminal:
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("training", total=total)

        def advance(outcome: Outcome) -> None:
            name = outcome.cell.card.name if outcome.cell.card else "original model"
            bar.update(task, advance=1, description=f"{name}, seed {outcome.cell.seed}")

        yield advance


def tune_suite(request: Request, trials: int, seeds: int, console: Console, errors: Console) -> int:
    """Run every trial, write tuning.csv and tuning.toml, print the best; 1 if any trial failed."""
    if trials < 1 or seeds < 1:
        raise UsageError("--trials and --dev-seeds must be at least 1")
    path, loaded = read(request)
    known = registry.load(request.plugins, request.store.root / "cards")
    best: dict[str, dict[str, Any]] | None = None
    for stage in ("spread over the search space", "close to the best"):
        dev, rows = tuning.development(loaded, known, _names(request.methods), trials, seeds, best)
        plan = harness.make_plan(dev, known, request.store, request.device, str(path))
        missing = plan.missing(request.store)
        jobs = default_jobs(plan.device, dev.threads) if request.jobs is None else request.jobs
        errors.print(
            f"{len(rows)} trials {stage}, on {seeds} development forget sets; {len(missing)} cells to run"
        )
        with _progress(errors, len(missing)) as report:
            execute(missing, request.store, jobs, report)
        frame = tuning.score(plan, rows, request.store)
        best = tuning.winners(frame)
    folder = request.out or Path("results") / f"{path.stem}-tuning"
    shown = frame.assign(parameters=frame["parameters"].map(json.dumps))
    write_atomic(folder / "tuning.csv", shown.to_csv(index=False, float_format="%.4f").encode())
    write_atomic(folder / "tuning.toml", tuning.as_toml(frame).encode())
    console.print(tuning.as_toml(frame), markup=False)
    errors.print(f"written to {folder}/")
    return int(frame["score"].isna().any())


def run_suite(request: Request, console: Console, errors: Console) -> int:
    """Run and render; 0: all well, 1: a method failed (the table is still written)."""
    started = time.perf_counter()
    plan, path = prepare(request), suite.find(request.suite)
    results.check_writable(request.folder)
    for split in (s for part in plan.parts for s in part.splits.values()):
        request.store.save_text("splits", f"{split.digest}.json", split.to_json())
    missing = plan.missing(request.store, request.exclusive_timing)
    jobs = default_jobs(plan.device, plan.suite.threads) if request.jobs is None else request.jobs
    jobs = min(jobs, 1) if request.exclusive_timing else jobs
    errors.print(
        f"{plan.suite.title}: {len(plan.cells)} cells, {len(plan.cells) - len(missing)} of them in the "
        f"store; {plan.device}, {plan.precision}, {jobs} at once"
    )
    if forecast.worthwhile(plan, missing):
        with errors.status("rehearsing the methods, measuring this machine"):
            expected = forecast.forecast(plan, missing, request.store, jobs)
        errors.print(forecast.advice(expected, plan.device, suite.profiles(path), request.profile))
    try:
        with _progress(errors, len(missing)) as report:
            outcomes = execute(missing, request.store, jobs, report)
    except KeyboardInterrupt:
        request.store.forget_checks()
        left = len(plan.missing(request.store, request.exclusive_timing))
        errors.print(
            f"Interrupted: {len(missing) - left} cells were finished and are saved, {left} are left. "
            "The same command goes on from there."
        )
        return 130
    request.store.forget_checks()
    found = results.from_plan(plan, Path(request.suite).stem, _marks(request))
    code = _show(found, request.store, request.folder, console, errors)
    failed = {o.cell.key: o for o in outcomes if o.status == "failed"}
    for label, part in (plan.classes or {"": plan}).items():
        _say_failures(part, label, failed, request.store, errors)
    errors.print(f"{time.perf_counter() - started:.1f} s; written to {request.folder}/")
    return code


def _say_failures(
    plan: harness.Plan, label: str, failed: Mapping[str, Outcome], store: Store, errors: Console
) -> None:
    """A line for each row that failed; `label` is the class forgotten, where there are several."""
    for row in plan.rows:
        seeds = [seed for seed, key in row.keys.items() if key in failed]
        if seeds:
            first = failed[row.keys[seeds[0]]]
            name = f"{row.name} ({label})" if label else row.name
            at = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
            errors.print(f"{name} failed at {at}: {first.reason}; log: {store.log_file(first.cell.key)}")


def _marks(request: Request) -> dict[str, Any]:
    return {**({"profile": request.profile} if request.profile else {}), **request.overrides}


def _show(found: results.Results, store: Store, folder: Path, console: Console, errors: Console) -> int:
    cells = results.cells_frame(found, store)
    # first of all, lest a full disk keep it from who waited for it
    console.print(terminal_table(cells, caption=found.title, notes=results.captions(found, store)))
    results.write(found, store, folder, cells)
    for message in store.set_aside:
        errors.print(message)
    return 1 if cells["status"].isin(["FAILED", "missing"]).any() else 0


def render_again(
    target: str,
    *,
    store: Store,
    console: Console,
    plugins: tuple[Path, ...] = (),
    profile: str | None = None,
    out: Path | None = None,
) -> int:
    """Render a suite, or the folder an earlier run wrote, from the store alone."""
    if Path(target).is_dir() and target not in suite.suite_files():
        if profile or plugins:
            raise UsageError("a folder is rendered as it was run; --profile and --plugin go with a suite")
        return _show(results.from_folder(Path(target)), store, out or Path(target), console, console)
    if re.search(r"[/\\]", target) and not Path(target).exists():
        raise UsageError(f"{target}: there is no such folder or suite file")
    request = Request(target, store, plugins=plugins, profile=profile, out=out)
    found = results.from_plan(prepare(request), Path(target).stem, _marks(request))
    return _show(found, store, request.folder, console, console)
