"""The words of `mubench report`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mubench.commands.completion import complete_suite
from mubench.commands.console import make_console
from mubench.commands.options import FilePath, open_store, options
from mubench.commands.uncollected import uncollected


@click.command("report")
@click.argument("suite_or_folder", shell_complete=complete_suite)
@options("plugin profile store data-root")
@click.option(
    "--out",
    type=FilePath(path_type=Path, dir_okay=False),
    help="The file.  [default: report.html in the folder of the results]",
)
@uncollected()
def command(**chosen: Any) -> None:
    """Write one HTML file about a suite or folder, training nothing.

    It holds the table, every picture, what each method was and cost, and where the numbers come from.
    """
    from mubench.commands.report import write_report

    target, store = chosen.pop("suite_or_folder"), open_store(chosen.pop("store"))
    raise SystemExit(write_report(target, **chosen, store=store, console=make_console()))
