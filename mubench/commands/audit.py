"""`mubench audit`: printed gaps that do not follow from the printed values beside them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mubench.errors import printable
from mubench.paper import audit, published

if TYPE_CHECKING:
    from rich.console import Console


def audit_tables(path: Path | None, console: Console, as_json: bool) -> int:
    """Print each cell that does not follow; 0 whether or not there are any."""
    checked = audit.check(published.load(path) if path else published.paper_tables())
    wrong = [one for one in checked if not one.follows()]
    if as_json:
        console.print_json(json.dumps([asdict(one) for one in wrong]))
        return 0
    from rich.table import Table
    from rich.text import Text

    grid = Table("Table", "Method", "Cell", "Printed", "Recomputed", "Off by")
    for one in wrong:
        cell = one.metric if one.kind == "avg_gap" else f"gap of {one.metric}"
        off = abs(one.printed - one.recomputed)
        words = (one.table, one.method, cell, *(f"{n:.2f}" for n in (one.printed, one.recomputed, off)))
        grid.add_row(*(Text(printable(word)) for word in words))
    if wrong:
        console.print(grid)
    console.print(
        f"{len(wrong)} of {len(checked)} printed gaps do not follow from the printed values "
        "(off by more than 0.02 points)."
    )
    return 0
