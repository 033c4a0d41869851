"""`mubench report`: one HTML file about a suite's results, or those of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mubench.commands.render import computed, find_results, place_for
from mubench.errors import UsageError, printable
from mubench.reporting.cells import row_histograms
from mubench.storage.files import write_atomic
from mubench.storage.store import Store

if TYPE_CHECKING:
    from rich.console import Console

FILE = "report.html"


def write_report(
    target: str,
    *,
    store: Store,
    console: Console,
    plugins: tuple[Path, ...] = (),
    profile: str | None = None,
    out: Path | None = None,
) -> int:
    """Write the report to `out`, or as report.html into the folder of the results; trains nothing.

    Returns 0, also where cells failed: the report says which. Raises UsageError if there is nothing to
    report.
    """
    from mubench.reporting.report.material import gather
    from mubench.reporting.report.page import page

    found = find_results(target, store, plugins, profile)
    manifest, report = computed(found.manifest, store, found.catalogue.metrics, found.folder, found.kept)
    scores = row_histograms(manifest, store, found.folder)
    material = gather(manifest, report, scores, store, found.catalogue.methods, found.folder)
    path = out or place_for(found.folder) / FILE
    try:
        write_atomic(path, page(material).encode())
    except OSError as error:
        raise UsageError(f"the report {path} cannot be written: {error.strerror}") from None
    console.print(f"written to {printable(str(path))}")
    return 0
