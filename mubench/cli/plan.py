"""The words of `mubench plan`."""

from __future__ import annotations

from typing import Any

import click

from mubench.commands.console import make_console
from mubench.commands.options import make_request, options
from mubench.commands.uncollected import uncollected


@click.command("plan")
@options("suite methods first-seeds plugin profile set tuned")
@options("device precision compile jobs store data-root json")
@uncollected()
def command(as_json: bool, **chosen: Any) -> None:
    """List a suite's cells and the expected time of those to run."""
    from mubench.commands.plan import plan_suite

    raise SystemExit(plan_suite(make_request(chosen), make_console(), as_json))
