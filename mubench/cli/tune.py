"""The words of `mubench tune`."""

from __future__ import annotations

from typing import Any

import click

from mubench.commands.console import make_console
from mubench.commands.options import make_request, options


@click.command("tune")
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    default=12,
    show_default=True,
    help="Trials per method, the same for all.",
)
@click.option(
    "--dev-seeds",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Development forget sets that each trial runs on.",
)
@click.option(
    "--storage", metavar="URL", help="Keep the search there, shared by several machines: sqlite:///tuning.db"
)
@options("suite methods plugin profile set device precision compile jobs engine store data-root publish out")
def command(trials: int, dev_seeds: int, storage: str | None, **chosen: Any) -> None:
    """Search hyper-parameters on validation data, by Optuna.

    The forget sets are drawn for development alone: no table shows them. `mubench run --tuned FILE` applies
    the tuned.toml that this writes.
    """
    from mubench.commands.tune import tune_suite

    raise SystemExit(tune_suite(make_request(chosen), trials, dev_seeds, make_console(), storage))
