"""The words of `mubench list`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mubench.commands.options import options


@click.command("list")
@click.argument("what", metavar="KIND")
@options("plugin json")
def command(what: str, plugins: tuple[Path, ...], as_json: bool) -> None:
    """List what there is of a kind.

    Kinds: methods, masks, metrics, datasets, models, engines, trackers, suites.
    """
    from mubench.commands.list import listing, listing_text

    entries = listing(what, plugins)
    click.echo(json.dumps(entries, indent=1) if as_json else listing_text(entries))
