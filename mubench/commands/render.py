"""`mubench render`: tables and plots again, from a folder of results and what the store has of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mubench.api.metric import MetricSpec
from mubench.commands.request import PUBLISHED, Request, prepare
from mubench.discovery.find import Catalogue
from mubench.discovery.suites import suite_files
from mubench.errors import UsageError, printable
from mubench.planning.rows import Status
from mubench.reporting import formats, results
from mubench.reporting.cells import cells_frame, environments, hardware, row_histograms
from mubench.reporting.columns import Columns
from mubench.reporting.fit import fitted
from mubench.reporting.kept import Kept, kept_cells
from mubench.reporting.manifest import FILE, Manifest, read_manifest
from mubench.reporting.plots.shown import Width
from mubench.reporting.render import Report, make_report
from mubench.reporting.tables import Look
from mubench.storage.store import Store

if TYPE_CHECKING:
    from rich.console import Console


def show(
    manifest: Manifest,
    store: Store,
    metrics: Mapping[str, MetricSpec],
    folder: Path,
    console: Console,
    source: Path | None = None,
    kept: Kept | None = None,
    look: Look | None = None,
    width: Width = "screen",
) -> tuple[Manifest, Report]:
    """Print the table of a manifest and write it with all that belongs to it into `folder`; see `computed`.

    source: the folder of an earlier rendering, with the histograms; unless given, `folder`.
    kept: the numbers of cells whose records the store may lack. look: how the table is printed; width:
    how wide the plots are; no file records them.
    """
    manifest, report = computed(manifest, store, metrics, source or folder, kept, look)
    # printed before anything is written: a full disk must not keep the table from being seen
    console.print(formats.terminal(fitted(report, console.width)))
    scores = row_histograms(manifest, store, source or folder)
    results.write(manifest, report, scores, folder, width)
    return manifest, report


def exit_code(report: Report) -> int:
    """1 if a cell has no numbers that should have some, else 0."""
    status = report.summary.cells["status"]
    return 1 if status.isin([Status.FAILED, Status.MISSING]).any() else 0


def computed(
    manifest: Manifest,
    store: Store,
    metrics: Mapping[str, MetricSpec],
    source: Path,
    kept: Kept | None = None,
    look: Look | None = None,
) -> tuple[Manifest, Report]:
    """The manifest with what the metrics and records add to it, and the numbers of its table.

    Raises UsageError if neither the store nor `kept`, the cells of the folder `source`, have any.
    """
    manifest = manifest.with_columns(Columns.of(metrics.values()))
    cells = cells_frame(manifest, store, metrics, kept)
    if not _any_result(cells):
        raise UsageError(
            f"nothing to render of {printable(manifest.title)!r}: the store has none of its records and "
            f"{source} none of its numbers; `mubench run` makes them"
        )
    found = environments(manifest, store)
    manifest = manifest.model_copy(update={"hardware": hardware(manifest, found)})
    report = make_report(
        cells,
        caption=manifest.title,
        notes=manifest.captions,
        columns=manifest.shown,
        margin=manifest.margin,
        look=look,
        timed_apart=manifest.timed_apart,
        environments=found.each,
    )
    return manifest, report


def _any_result(cells: pd.DataFrame) -> bool:
    """Whether any cell has numbers or failed, rows without cells aside."""
    return bool((cells["key"].notna() & (cells["status"] != Status.MISSING)).any())


@dataclass(frozen=True)
class Results:
    """What a folder or a suite says about its table, before anything is computed.

    folder: the one with the numbers of an earlier rendering. catalogue: the plugins. kept: the numbers.
    """

    manifest: Manifest
    catalogue: Catalogue
    folder: Path
    kept: Kept


def find_results(
    target: str,
    store: Store,
    plugins: tuple[Path, ...] = (),
    profile: str | None = None,
    out: Path | None = None,
) -> Results:
    """The results of a suite, or of the folder that an earlier run wrote.

    out: a suite's folder, if it is not the usual one. Raises UsageError if there are none.
    """
    if Path(target).is_dir() and target not in suite_files():
        if profile or plugins:
            raise UsageError("a folder is rendered as it was run; --profile and --plugin go with a suite")
        source = Path(target)
        catalogue = Catalogue(cache=store.root / "specs")
        return Results(read_manifest(source), catalogue, source, kept_cells(source))
    if re.search(r"[/\\]", target) and not Path(target).exists():
        raise UsageError(f"{target}: there is no such folder or suite file")
    request = Request(target, store, plugins=plugins, profile=profile, out=out)
    manifest = results.from_plan(prepare(request), request.name, request.marks)
    kept = kept_cells(request.folder)
    if kept.keys() & set(manifest.keys) and (request.folder / FILE).exists():
        manifest = manifest.model_copy(update={"hardware": read_manifest(request.folder).hardware})
    return Results(manifest, request.catalogue, request.folder, kept)


def place_for(folder: Path) -> Path:
    """Where what is made of a folder of results goes unless the user says: there.

    Of results/published/NAME it is results/rendered/NAME, which git ignores: only `--publish` writes to what
    git tracks, and a reader's clone stays as it was.
    """
    home = folder.absolute().parent
    return home.parent / "rendered" / folder.name if home.parts[-2:] == PUBLISHED.parts else folder


def read_look(columns: str | None, compact: bool, wide: bool) -> Look:
    """The look that --columns, --style and --wide ask for."""
    names = tuple(name.strip() for name in (columns or "").split(",") if name.strip())
    if columns is not None and not names:
        raise UsageError("--columns names no column")
    return Look(names, compact, wide=wide)


def render_again(
    target: str,
    *,
    store: Store,
    console: Console,
    plugins: tuple[Path, ...] = (),
    profile: str | None = None,
    out: Path | None = None,
    look: Look | None = None,
    width: Width = "screen",
) -> int:
    """Render a suite, or the folder an earlier run wrote, training nothing.

    Raises UsageError if there is nothing to render.
    """
    found = find_results(target, store, plugins, profile, out)
    metrics = found.catalogue.metrics
    folders = {"folder": out or place_for(found.folder), "source": found.folder}
    _, report = show(
        found.manifest, store, metrics, console=console, kept=found.kept, look=look, width=width, **folders
    )
    if folders["folder"] not in (out, found.folder):
        console.print(f"written to {printable(str(folders['folder']))}/")
    return exit_code(report)
