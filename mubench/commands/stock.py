"""`mubench store info` and `verify`: what the store holds, how much of it, and what of it is damaged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mubench.commands.messages import working_console
from mubench.errors import printable
from mubench.planning.data_cache import check_cached
from mubench.planning.splits import check_saved
from mubench.storage.inventory import KINDS, Kind, check, take_stock
from mubench.storage.journal import recover
from mubench.storage.store import Store

if TYPE_CHECKING:
    from rich.console import Console


def size_text(size: int) -> str:
    """ "812 B", "3.4 MB"."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


@contextmanager
def byte_progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A function to call with the bytes done: it moves a bar, on a terminal."""
    console = working_console()
    if not console.is_terminal:
        yield lambda _: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda size: bar.update(task, advance=size)


def checked_stock(store: Store) -> dict[str, Kind]:
    """All that is in the store, checked where there is a digest."""
    recover(store.root)
    stock = take_stock(store.root)
    with byte_progress("checking", sum(kind.size for kind in stock.values())) as report:
        check(stock, {"data": check_cached, "splits": check_saved}, report)
    return stock


def show_stock(store: Store, console: Console, as_json: bool) -> int:
    """Print the kinds with count, size and how many are damaged; always 0."""
    stock = checked_stock(store)
    if as_json:
        kinds = {
            name: {
                "count": len(kind.paths),
                "bytes": kind.size,
                "damaged": len(kind.damaged) if kind.checked else None,
            }
            for name, kind in stock.items()
        }
        console.print_json(json.dumps({"store": str(store.root), "kinds": kinds}))
        return 0
    console.print(printable(f"{store.root}: {size_text(sum(kind.size for kind in stock.values()))}"))
    if not stock:
        console.print("Nothing is there yet.")
        return 0
    from rich.table import Table

    grid = Table("Kind", "What it is")
    for title in ("Count", "Size", "Damaged"):
        grid.add_column(title, justify="right")
    for name, kind in stock.items():
        damaged = str(len(kind.damaged)) if kind.checked else ""
        grid.add_row(name, KINDS[name], f"{len(kind.paths):,}", size_text(kind.size), damaged)
    console.print(grid)
    if any(kind.damaged for kind in stock.values()):
        console.print("`mubench store verify` names what is damaged.")
    return 0


def verify_stock(store: Store, console: Console, as_json: bool) -> int:
    """Print what is damaged, and why; 1 if anything is."""
    stock = checked_stock(store)
    checked = sum(len(kind.paths) for kind in stock.values() if kind.checked)
    wrong = [
        (name, path.relative_to(store.root), reason)
        for name, kind in stock.items()
        for path, reason in kind.damaged.items()
    ]
    if as_json:
        damaged = [{"kind": name, "path": str(path), "reason": reason} for name, path, reason in wrong]
        console.print_json(json.dumps({"store": str(store.root), "checked": checked, "damaged": damaged}))
        return int(bool(wrong))
    for name, path, reason in wrong:
        console.print(printable(f"{name} {Path(path).stem}: {reason} ({path})"), soft_wrap=True)
    if wrong:
        console.print(f"{len(wrong)} of {checked:,} damaged. What needs them makes them anew.")
    else:
        console.print(f"All {checked:,} are whole." if checked else "Nothing is there yet.")
    return int(bool(wrong))
