"""The words of `mubench diff`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mubench.commands.console import make_console
from mubench.commands.options import FilePath, make_request, options


@click.command("diff")
@click.option(
    "--tables",
    type=FilePath(path_type=Path),
    multiple=True,
    help="A further paper's CSV, beside those that come along (repeatable).",
)
@options("suite methods first-seeds plugin profile set device precision compile store publish out json")
def command(tables: tuple[Path, ...], as_json: bool, **chosen: Any) -> None:
    """Put a suite's rows beside published ones, cell by cell.

    MIA stands beside MIA only where the published attack is the SVC.
    """
    from mubench.commands.diff import diff_suite

    raise SystemExit(diff_suite(make_request(chosen), tables, make_console(), as_json))
