"""The words of `mubench run`."""

from __future__ import annotations

from typing import Any

import click

from mubench.commands.console import make_console
from mubench.commands.options import make_request, options


@click.command("run")
@options("suite methods first-seeds plugin profile set tuned device precision compile jobs engine")
@click.option("--exclusive-timing", is_flag=True, help="One cell at a time; time again those that shared.")
@click.option("--dry-run", is_flag=True, help="Only say what would be run: the same as mubench plan.")
@click.option("--track", metavar="NAME", help="Also keep the cells in a tracker, such as mlflow.")
@options("reference store data-root publish out wide")
def command(dry_run: bool, wide: bool, **chosen: Any) -> None:
    """Run a suite: train what is missing, write tables and plots."""
    from mubench.commands.plan import plan_suite
    from mubench.commands.run import run_suite

    request, console = make_request(chosen), make_console()
    if dry_run:
        raise SystemExit(plan_suite(request, console, as_json=False))
    raise SystemExit(run_suite(request, console, wide))
