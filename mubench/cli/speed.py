"""The words of `mubench speed`."""

from __future__ import annotations

import math
from typing import Any

import click

from mubench.commands.console import make_console
from mubench.commands.options import make_request, options


def _finite(_: click.Context, __: click.Parameter, seconds: float) -> float:
    if not math.isfinite(seconds):
        raise click.BadParameter(f"{seconds} is not a finite number of seconds")
    return seconds


@click.command("speed")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads.  [default: all cores]")
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="How often each way to train is measured; the median counts.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.01),
    default=1.0,
    show_default=True,
    callback=_finite,
    help="How long each measurement takes at least.",
)
@options("suite profile set device precision compile store data-root json")
def command(threads: int | None, rounds: int, seconds: float, as_json: bool, **chosen: Any) -> None:
    """Measure how fast this machine trains a suite's model.

    It is compared with a plain training loop and with the speed of matrix products.
    """
    from mubench.commands.speed import speed_suite

    request, console = make_request(chosen), make_console()
    raise SystemExit(
        speed_suite(request, console, threads=threads, rounds=rounds, seconds=seconds, as_json=as_json)
    )
