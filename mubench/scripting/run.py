"""`mubench.run`: what the command of that name does, from Python."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mubench.api.method import MethodSpec
from mubench.api.spec import Spec
from mubench.commands.messages import messages_of_mubench
from mubench.commands.reference import BESIDE
from mubench.commands.render import computed
from mubench.commands.request import LOCAL, Request
from mubench.commands.run import as_run, make_records
from mubench.commands.track import make_tracker, track_cells
from mubench.commands.work import report_failures
from mubench.errors import UsageError
from mubench.reporting.cells import row_histograms
from mubench.scripting.results import Results
from mubench.scripting.suite import Method, Methods, Suite, write_plugin
from mubench.storage.store import Store, default_store


def run(
    suite: str | Path | Suite,
    methods: Methods | None = None,
    *,
    metrics: Sequence[Callable[..., Any]] = (),
    seeds: int | None = None,
    plugins: Sequence[str | Path] = (),
    profile: str | None = None,
    changes: Mapping[str, Any] | None = None,
    device: str = "auto",
    precision: str | None = None,
    jobs: int | None = None,
    engine: str = LOCAL,
    engine_options: Mapping[str, Any] | None = None,
    store: str | Path | None = None,
    out: str | Path | None = None,
    reference: bool | str | Path = False,
    tuned: str | Path | None = None,
    track: str | None = None,
    quiet: bool = False,
) -> Results:
    """Train what is missing of a suite and return its numbers; what was trained before comes from the store.

    suite: a name, a TOML file or a `mubench.Suite`. methods: only these rows, by name or as functions
    declared with @method, in a list, or each with its parameters in a dict; Retrain and Original always join.
    metrics: functions declared with @metric. seeds: only the first so many. plugins: further Python files.
    changes: keys of the suite to override, {"original.epochs": 5}. store: the folder of records, unless given
    $MUBENCH_STORE or a user folder. out: a folder for tables and plots. reference: an exported run, or
    True for the one that comes along; only rows that it lacks are trained. tuned: hyper-parameters from a
    tuned.toml of `mubench tune`. track: also keep the cells in a tracker, "mlflow" or one of `plugins`.
    quiet: no progress on stderr.
    profile, device, precision, jobs, engine: as in `mubench run`. engine_options: what else it takes there,
    {"address": "head", "gpus_per_cell": 0.5}.

    A method that fails is a row without numbers, see `Results.failures`. Raises UsageError, in one line, for
    what cannot be used.
    """
    kept = Store(Path(store) if store is not None else default_store())
    files = [Path(plugin) for plugin in plugins]
    if isinstance(suite, Suite):
        written = suite.write(kept)
        name, files = str(written.path), [*files, *written.plugins]
    else:
        name = str(suite)
    for function in metrics:
        write_plugin(function, kept, files)
    names, parameters = _rows(methods, kept, files)
    request = Request(
        name,
        kept,
        methods=",".join(names) if methods is not None else None,
        first_seeds=seeds,
        plugins=tuple(dict.fromkeys(files)),
        profile=profile,
        set_options=(*_settings(changes or {}), *_settings(parameters)),
        device=device,
        precision=precision,
        jobs=jobs,
        engine=engine,
        engine_set=tuple(_settings(engine_options or {})),
        out=None if out is None else Path(out),
        track=track,
        reference=BESIDE if reference is True else str(reference) if reference else None,
        tuned=None if tuned is None else Path(tuned),
    )
    with messages_of_mubench(logging.WARNING if quiet else logging.INFO):
        return _run(request, out)


def _run(request: Request, out: str | Path | None) -> Results:
    """Train what is missing, say which rows failed, and compute the numbers."""
    kept, tracker = request.store, make_tracker(request)
    plan, outcomes, reference = make_records(request, request.out)
    found = request.catalogue.metrics
    planned, source, cells = as_run(request, plan, reference)
    place = source or (request.folder if out is not None else kept.root / "nowhere")
    manifest, report = computed(planned, kept, found, place, cells)
    results = Results(report, found, partial(row_histograms, manifest, kept, place), manifest)
    if out is not None:
        results.write(out)
    report_failures(plan, outcomes, kept)
    if tracker is not None:
        track_cells(tracker, manifest, report, request)
    return results


def _rows(methods: Methods | None, store: Store, files: list[Path]) -> tuple[list[str], dict[str, Any]]:
    """The rows' names and, by key of the suite, their parameters."""
    names: list[str] = []
    parameters: dict[str, Any] = {}
    if isinstance(methods, str):
        raise UsageError(f"methods is a text; expected a list, as [{methods!r}]")
    given: Mapping[Method, Mapping[str, Any]] = (
        methods if isinstance(methods, Mapping) else {m: {} for m in methods or ()}
    )
    for method, own in given.items():
        spec: Spec | None = (
            None if isinstance(method, str) else write_plugin(method, store, files, MethodSpec)
        )
        name = str(method) if spec is None else spec.name
        names.append(name)
        parameters |= {f"methods.{name}.{key}": value for key, value in own.items()}
    return names, parameters


def _settings(changes: Mapping[str, Any]) -> list[str]:
    return [f"{key}={json.dumps(value)}" for key, value in changes.items()]
