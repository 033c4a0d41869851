"""The words of `mubench render`."""

from __future__ import annotations

from typing import Any

import click

from mubench.commands.completion import complete_suite
from mubench.commands.console import make_console
from mubench.commands.options import open_store, options
from mubench.commands.uncollected import uncollected


@click.command("render")
@click.argument("suite_or_folder", shell_complete=complete_suite)
@click.option("--columns", help='Only these columns, by title: UA,TA,"Avg. Gap (SVC)".')
@click.option(
    "--style",
    type=click.Choice(["full", "compact"]),
    default="full",
    show_default=True,
    help="compact: 4.51 (0.89), without standard deviations.",
)
@click.option(
    "--width",
    type=click.Choice(["screen", "page", "column"]),
    default="screen",
    show_default=True,
    help="Plots of 8 inches, or as wide as a paper's page (6.75) or column (3.25).",
)
@options("plugin profile store data-root out wide")
@uncollected()
def command(columns: str | None, style: str, wide: bool, **chosen: Any) -> None:
    """Make tables and plots of a suite or folder, training nothing."""
    from mubench.commands.render import read_look, render_again

    target, store = chosen.pop("suite_or_folder"), open_store(chosen.pop("store"))
    look = read_look(columns, style == "compact", wide)
    raise SystemExit(render_again(target, **chosen, store=store, console=make_console(), look=look))
