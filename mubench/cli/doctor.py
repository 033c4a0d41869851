"""The words of `mubench doctor`."""

from __future__ import annotations

from typing import Any

import click

from mubench.commands.completion import complete_suite
from mubench.commands.console import make_console
from mubench.commands.options import make_request, options


@click.command("doctor")
@click.argument("suite", shell_complete=complete_suite)
@click.option(
    "--floor",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Also try the noise floor on N further Retrains (12 or more).",
)
@options("methods first-seeds plugin profile set device jobs engine store data-root publish out json")
def command(floor: int, as_json: bool, **chosen: Any) -> None:
    """Tell whether a suite discriminates: signal to noise, ranks.

    Runs it also in the other precision and on another number of threads. Writes doctor.md and doctor.json
    beside the results.
    """
    from mubench.commands.doctor import doctor_suite

    raise SystemExit(doctor_suite(make_request(chosen), floor, make_console(), as_json))
