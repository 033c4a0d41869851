"""`mubench doctor`: does a suite discriminate, or is its headline noise?"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mubench.api.method import Role
from mubench.commands.render import find_results
from mubench.commands.request import Request, prepare
from mubench.commands.sameness import check_same_data, differing
from mubench.commands.work import report_failures, run_missing
from mubench.errors import UsageError, printable
from mubench.planning.device import resolve_precision
from mubench.planning.plan import Plan
from mubench.planning.rows import Status
from mubench.reporting import doctor_text, formats, results
from mubench.reporting.cells import cells_frame, environments, hardware
from mubench.reporting.columns import Columns
from mubench.reporting.doctor import FEWEST_METHODS, FEWEST_SEEDS, Replicate, diagnose
from mubench.reporting.floor_check import FEWEST_RETRAINS, FloorCheck, check_floor
from mubench.reporting.gap import ENOUGH
from mubench.reporting.kept import Kept
from mubench.reporting.manifest import Manifest, ManifestRow, manifest_rows
from mubench.reporting.summary import Summary, summarise
from mubench.storage.files import write_atomic

LOG = logging.getLogger(__name__)

if TYPE_CHECKING:
    from rich.console import Console


def doctor_suite(
    request: Request, floor: int, beside: Sequence[Path], console: Console, as_json: bool
) -> int:
    """Run what is missing of the replicates, print the diagnosis and write it; 1 if a method failed.

    floor: how many further Retrains the noise floor is tried on; 0 for none. beside: folders of results of
    the suite, each one more replicate. Raises UsageError for a suite that cannot be diagnosed, or a folder
    of something else, before anything is trained.
    """
    if 0 < floor < FEWEST_RETRAINS:
        raise UsageError(f"--floor {floor}: too few to tell; ask for {FEWEST_RETRAINS} or more")
    request.store.check_writable()
    _ = request.workforce  # refused at once
    own = prepare(request)
    _check(own)
    results.check_writable(request.folder)
    elsewhere = {str(folder): _read(folder, own, request) for folder in beside}
    wanted, notes = _replicates(request, own), []
    if resolve_precision("auto", own.device) != "bf16":
        if elsewhere and own.precision != "bf16":
            wanted = {name: asked for name, asked in wanted.items() if asked.precision != "bf16"}
            notes.append("bf16 was left to the results beside: this machine does not compute in it.")
        else:
            notes.append("bf16 is emulated: this machine does not compute in it, which takes longer.")
        LOG.info("%s", notes[0])
    summaries: dict[str, Summary] = {}
    for name, asked in wanted.items():
        summaries[name], made_on = _run(name, asked)
        notes += made_on if len(summaries) == 1 else []
    for name, (summary, made_on) in elsewhere.items():
        summaries[name] = summary
        notes += [f"{printable(name)}: {line}" for line in made_on]
    first = next(iter(summaries.values()))
    gap = first.columns.headline
    try:
        found = diagnose([Replicate.of(n, s, gap) for n, s in summaries.items()], len(own.suite.seeds))
    except ValueError as error:
        raise UsageError(f"{request.suite}: {error}") from None
    check = _check_floor(request, own, floor, first) if floor else None
    rows = doctor_text.rows_left_out(summaries, found.methods)
    title = printable(own.suite.title)
    table = doctor_text.as_table(found, title, gap.title, check, [*rows, *notes])
    data = json.dumps(doctor_text.as_data(found, request.name, gap.title, check), ensure_ascii=False)
    if as_json:
        console.print_json(data)
    else:
        console.print(formats.terminal(table))
    write_atomic(request.folder / "doctor.md", formats.markdown(table).encode())
    write_atomic(request.folder / "doctor.json", f"{json.dumps(json.loads(data), indent=1)}\n".encode())
    LOG.info("written to %s/doctor.md and doctor.json", printable(str(request.folder)))
    return int(any((s.rows["status"] == Status.FAILED).any() for s in summaries.values()))


def _check(plan: Plan) -> None:
    """UsageError for a suite that cannot be diagnosed, whatever its numbers will be."""
    if len(plan.blocks) > 1:
        raise UsageError('forget.class = "all": doctor takes one class at a time, as --set forget.class=3')
    methods = [row for row in plan.rows if row.role == "method" and not row.status]
    if len(methods) < FEWEST_METHODS:
        raise UsageError(
            f"doctor compares methods: it takes {FEWEST_METHODS} or more, the suite has {len(methods)}"
        )
    if len(plan.suite.seeds) < FEWEST_SEEDS:
        raise UsageError("doctor takes two seeds or more: the noise of one cannot be known")


def _replicates(request: Request, plan: Plan) -> Mapping[str, Request]:
    """The suite as it is, in the other precision, and on another number of threads, by their names."""
    other = "fp32" if plan.precision == "bf16" else "bf16"
    threads = plan.suite.threads
    if plan.device != "cpu":  # its threads decide nothing there
        return {precision: replace(request, precision=precision) for precision in (plan.precision, other)}
    further = 2 if threads == 1 else 1
    wanted = ((plan.precision, threads), (other, threads), (plan.precision, further))
    return {
        f"{precision}, {count} thread{'s' * (count > 1)}": replace(
            request, precision=precision, set_options=(*request.set_options, f"threads={count}")
        )
        for precision, count in wanted
    }


def _run(name: str, request: Request) -> tuple[Summary, list[str]]:
    """Run what is missing; the summary of the columns of the Avg. Gaps, and what it was made on.

    Raises UsageError if the rows have no gaps, because Retrain has no numbers.
    """
    plan = prepare(request)
    missing = len(plan.missing(request.store))
    LOG.info("%s: %d cells, %d of them in the store", name, len(plan.cells), len(plan.cells) - missing)
    report_failures(plan, run_missing(plan, request), request.store)
    summary, made_on = _summary(results.from_plan(plan, request.name, request.marks), request)
    if summary.rows.loc[summary.reference, "status"] != Status.OK:
        reason = str(summary.rows["reason"][summary.reference])
        raise UsageError(
            f"{request.suite}: no gap without {summary.reference}, which has no numbers: {reason}"
        )
    return summary, made_on


def _summary(manifest: Manifest, request: Request, kept: Kept | None = None) -> tuple[Summary, list[str]]:
    """The summary of the columns of the Avg. Gaps, and what it was made on. kept: see `cells_frame`."""
    metrics = {name: spec for name, spec in request.catalogue.metrics.items() if spec.gap}
    options = {name: given for name, given in manifest.metrics.items() if name in metrics}
    manifest = manifest.model_copy(update={"metrics": options, "columns": []})
    manifest = manifest.with_columns(Columns.of(metrics.values()))
    summary = summarise(cells_frame(manifest, request.store, metrics, kept), manifest.shown)
    return summary, hardware(manifest, environments(manifest, request.store))


def _read(folder: Path, own: Plan, request: Request) -> tuple[Summary, list[str]]:
    """The summary of the suite's seeds in a folder of results, and what it was made on.

    Rows with other parameters than the suite's do not count. Raises UsageError if it is of something else.
    """
    where = f"--beside {printable(str(folder))}"
    found = find_results(str(folder), request.store)
    facts = found.manifest.model_extra or {}
    try:
        check_same_data(own, facts, where)
        other = [words for words in differing(own, facts) if not words.startswith("precision ")]
    except (KeyError, TypeError, AttributeError):
        raise UsageError(f"{where}: its manifest does not say which data it is of") from None
    if found.manifest.metrics != own.suite.metrics:
        other.append(f"metrics is {found.manifest.metrics} in it, here {own.suite.metrics}")
    if other:
        raise UsageError(f"{where}: {other[0]}")
    here = {row.name: row.parameters for row in manifest_rows(own.blocks[0].rows)}
    rows = [row for row in found.manifest.rows if here.get(row.name) == row.parameters]
    columns = Columns(tuple(found.manifest.columns), own.suite.headline)
    others = [row.name for row in rows if row.keys and {*row.keys} != {*own.suite.seeds}]
    if others and columns.pooled & {*columns.headline.metrics}:
        raise UsageError(
            f"{where}: its {columns.headline.title} is of all its seeds together; run both at the same seeds"
        )
    if all(row.role != "reference" for row in rows):
        raise UsageError(f"{where}: it has no {next(iter(here))} with the parameters of the suite here")
    rows = [_at(own.suite.seeds, row, where) for row in rows]
    return _summary(found.manifest.model_copy(update={"rows": rows}), request, found.kept)


def _at(seeds: Sequence[int], row: ManifestRow, where: str) -> ManifestRow:
    """The row at these seeds alone; UsageError if it lacks one."""
    if row.keys and (absent := [seed for seed in seeds if seed not in row.keys]):
        raise UsageError(f"{where}: {printable(row.name)} has no seed {absent[0]}")
    return row.model_copy(update={"keys": {seed: row.keys[seed] for seed in seeds if row.keys}})


def _check_floor(request: Request, plan: Plan, floor: int, suite: Summary) -> FloorCheck:
    """Try the band of as many Retrains as the suite has, three at least, on the others of `floor` more."""
    asked = replace(
        next(iter(_replicates(request, plan).values())),
        methods=request.catalogue.with_role(Role.REFERENCE).name,
    )
    asked = replace(asked, set_options=(*asked.set_options, f"floor={floor}"))
    summary, _ = _run(f"noise floor, {floor + 1} Retrains", asked)
    gap = suite.columns.headline
    of_row = {row: cells.set_index("seed") for row, cells in summary.cells.groupby("method")}
    by_seed = [
        [{m: float(of_row[row][m][seed]) for m in gap.metrics} for row in summary.retrains]
        for seed in plan.suite.seeds
    ]
    drawn = max(ENOUGH, len(suite.retrains))
    try:
        return check_floor(by_seed, drawn, gap.metrics, suite.columns.pooled)
    except ValueError as error:
        raise UsageError(f"{request.suite}: {error}") from None
