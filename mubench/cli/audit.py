"""The words of `mubench audit`."""

from __future__ import annotations

from pathlib import Path

import click

from mubench.commands.console import make_console
from mubench.commands.options import FilePath, options


@click.command("audit")
@click.option("--tables", type=FilePath(path_type=Path), help="Another paper's CSV.  [default: the paper's]")
@options("json")
def command(tables: Path | None, as_json: bool) -> None:
    """Find printed gaps that do not follow from the printed values."""
    from mubench.commands.audit import audit_tables

    raise SystemExit(audit_tables(tables, make_console(), as_json))
