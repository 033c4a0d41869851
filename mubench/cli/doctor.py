"""The words of `mubench doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mubench.commands.completion import complete_suite
from mubench.commands.console import make_console
from mubench.commands.options import FilePath, make_request, options


@click.command("doctor")
@click.argument("suite", shell_complete=complete_suite)
@click.option(
    "--floor",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Also try the noise floor on N further Retrains (12 or more).",
)
@click.option(
    "--beside",
    type=FilePath(path_type=Path, exists=True, file_okay=False),
    multiple=True,
    metavar="FOLDER",
    help="Results of the suite made elsewhere: one more replicate, as results/published/NAME (repeatable).",
)
@options("methods first-seeds plugin profile set device jobs engine store data-root publish out json")
def command(floor: int, beside: tuple[Path, ...], as_json: bool, **chosen: Any) -> None:
    """Tell whether a suite discriminates: signal to noise, ranks.

    Runs it also in the other precision and on another number of threads. Writes doctor.md and doctor.json
    beside the results. With --beside, a processor without bf16 leaves that precision to the folder.
    """
    from mubench.commands.doctor import doctor_suite

    raise SystemExit(doctor_suite(make_request(chosen), floor, beside, make_console(), as_json))
