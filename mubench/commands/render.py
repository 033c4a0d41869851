"""`mubench render`: tables and plots again, from what is stored."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mubench.commands.request import Request, prepare
from mubench.discovery.suites import suite_files
from mubench.errors import UsageError
from mubench.reporting import results
from mubench.reporting.render import terminal_table
from mubench.storage.store import Store

if TYPE_CHECKING:
    from rich.console import Console


def _show(found: results.Results, store: Store, folder: Path, console: Console, errors: Console) -> int:
    cells = results.cells_frame(found, store)
    # first of all, lest a full disk keep it from who waited for it
    console.print(terminal_table(cells, caption=found.title, notes=results.captions(found, store)))
    results.write(found, store, folder, cells)
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
    if Path(target).is_dir() and target not in suite_files():
        if profile or plugins:
            raise UsageError("a folder is rendered as it was run; --profile and --plugin go with a suite")
        return _show(results.from_folder(Path(target)), store, out or Path(target), console, console)
    if re.search(r"[/\\]", target) and not Path(target).exists():
        raise UsageError(f"{target}: there is no such folder or suite file")
    request = Request(target, store, plugins=plugins, profile=profile, out=out)
    found = results.from_plan(prepare(request), request.name, request.marks)
    return _show(found, store, request.folder, console, console)
