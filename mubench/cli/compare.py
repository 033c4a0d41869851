"""The words of `mubench compare`."""

from __future__ import annotations

from typing import Any

import click

from mubench.commands.console import make_console
from mubench.commands.options import DEFAULT_SUITE, open_store, options


@click.command("compare")
@click.argument("first")
@click.argument("second")
@click.option(
    "--suite", default=DEFAULT_SUITE, show_default=True, help="A suite's name or TOML file, or a folder."
)
@click.option("--metric", help="A metric or Avg. Gap, by title or name.  [default: the suite's headline]")
@options("plugin profile store data-root out json")
def command(first: str, second: str, suite: str, metric: str | None, as_json: bool, **chosen: Any) -> None:
    """Tell whether one row is closer to Retrain than another."""
    from mubench.commands.compare import compare_rows
    from mubench.commands.render import find_results

    store = open_store(chosen.pop("store"))
    found = find_results(suite, store, **chosen)
    console = make_console()
    raise SystemExit(
        compare_rows(found, first, second, store=store, console=console, metric=metric, as_json=as_json)
    )
