"""`mubench audit`: printed gaps that do not follow from the printed values beside them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mubench.paper import tables

if TYPE_CHECKING:
    from rich.console import Console


def audit_tables(path: Path | None, console: Console, as_json: bool) -> int:
    """Print each cell that does not follow; 0 whether or not there are any."""
    cells = tables.load(path)
    wrong = tables.audit(cells)
    if as_json:
        console.print_json(json.dumps([asdict(d) for d in wrong]))
        return 0
    from rich.table import Table
    from rich.text import Text

    grid = Table("Table", "Method", "Cell", "Printed", "Recomputed", "Off by")
    for d in wrong:
        cell = d.metric if d.kind == "avg_gap" else f"gap of {d.metric}"
        off = f"{abs(d.printed - d.recomputed):.2f}"
        grid.add_row(*map(Text, (d.table, d.method, cell, f"{d.printed:.2f}", f"{d.recomputed:.2f}", off)))
    console.print(grid)
    checked = sum(c.gap is not None or (c.metric == tables.AVG_GAP) for c in cells)
    console.print(f"{len(wrong)} of {checked} printed gaps do not follow from the printed values (0.02).")
    return 0
