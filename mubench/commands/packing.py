"""`mubench store export` and `import`: records into one file, and back into another store."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mubench.commands.render import computed
from mubench.commands.request import Request, prepare
from mubench.commands.stock import byte_progress, size_text
from mubench.errors import UsageError, printable
from mubench.planning.plan import Plan
from mubench.planning.rows import Status
from mubench.planning.twins import twins
from mubench.reporting import results
from mubench.reporting.cells import row_histograms
from mubench.storage.archive import RESULTS, open_archive, write_archive
from mubench.storage.inventory import size_of
from mubench.storage.journal import recover
from mubench.storage.merge import merge
from mubench.storage.store import DAMAGE, WEIGHTS, Store, read_record
from mubench.version import NUMERICS, __version__

if TYPE_CHECKING:
    from rich.console import Console

LOG = logging.getLogger(__name__)
Members = list[tuple[str, bytes]]


def export_records(request: Request, target: Path, *, numbers: bool, weights: bool) -> int:
    """Write the records of a suite, or of the whole store if none is named, into the file `target`.

    numbers: only the suite's numbers. weights: also originals. Raises UsageError if there is nothing.
    """
    recover(request.store.root)
    facts: dict[str, Any] = {"mubench": __version__, "numerics": NUMERICS}
    members: Members = []
    if request.suite:
        plan = prepare(request)
        keys = [cell.key for cell in plan.cells]
        members, facts["twins"] = _numbers(plan, request)
        facts["suite"] = request.name
    elif numbers or request.overrides or request.profile:
        raise UsageError("name the suite: its numbers, profile and changes go with --suite")
    else:
        keys = sorted(p.name for p in (request.store.root / "records").glob("*/*"))
    folders = [] if numbers else [f for key in keys if (f := request.store.folder(key)).is_dir()]
    counts: dict[str, int] = {}
    with byte_progress("packing", sum(map(size_of, folders))) as report:
        packed = _records(request.store, folders, weights, counts, report)
        about = write_archive(target, chain(members, packed), **facts)
    if not about.files:
        target.unlink()
        raise UsageError(f"nothing to export: {request.store.root} has no records")
    parts = [f"{counts.get('packed', 0):,} records"] if not numbers else []
    parts += ["the suite's numbers"] if members else []
    LOG.info("%s, %s, in %s", " and ".join(parts), size_text(target.stat().st_size), printable(str(target)))
    if request.suite and not numbers and (lacking := len(keys) - len(folders)):
        LOG.info("%d of the suite's %d cells have no record here", lacking, len(keys))
    if left := counts.get("weights"):
        LOG.info("%d original models stay here; --weights packs them too", left)
    if left := counts.get("damaged"):
        LOG.warning("%d damaged records were left out; mubench store verify names them", left)
    return 0


def _records(
    store: Store,
    folders: Sequence[Path],
    weights: bool,
    counts: dict[str, int],
    report: Callable[[int], None],
) -> Iterator[tuple[str, bytes]]:
    """The members of each whole record; counts: how many were packed, and how many not and why."""
    for folder in folders:
        report(size_of(folder))
        try:
            files = read_record(folder)[1]
        except DAMAGE:
            record = store.get(folder.name)  # once more: a run may have been replacing it
            if record is None:
                counts["damaged"] = counts.get("damaged", 0) + 1
                continue
            files = read_record(folder)[1]
        what = "weights" if WEIGHTS in files and not weights else "packed"
        counts[what] = counts.get(what, 0) + 1
        if what == "packed":
            yield from ((f"records/{folder.name}/{name}", content) for name, content in files.items())


def _numbers(plan: Plan, request: Request) -> tuple[Members, dict[str, str]]:
    """The files with the numbers of a suite that was run, and the keys of its cells by their twins.

    Raises UsageError if it was not run here.
    """
    store, found = request.store, request.catalogue.metrics
    planned = results.from_plan(plan, request.name, request.marks)
    manifest, report = computed(planned, store, found, store.root)
    cells = report.summary.cells
    ok = set(cells.loc[cells["status"] == Status.OK, "key"])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        results.write_numbers(manifest, report, row_histograms(manifest, store, folder), folder)
        members = [(f"results/{n}", (folder / n).read_bytes()) for n in RESULTS if (folder / n).exists()]
    return members, {twin: key for key, twin in twins(plan).items() if key in ok}


def import_records(store: Store, path: Path, console: Console) -> int:
    """Take in what the archive holds and say what was new; UsageError, and nothing changed, if any is bad."""
    archive = open_archive(path)
    with byte_progress("checking", archive.size) as report:
        merged = merge(archive, store, report)
    present = f", {merged.present:,} were there already" if merged.present else ""
    console.print(f"{merged.new:,} records are new{present}: {printable(str(store.root))}")
    if merged.results is not None:
        suite = printable(archive.about.suite)
        console.print(f"the numbers of {suite}: mubench render {printable(str(merged.results))} --out FOLDER")
    return 0
