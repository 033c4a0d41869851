"""The words of `mubench new`."""

from __future__ import annotations

from pathlib import Path

import click

from mubench.commands.console import make_console
from mubench.commands.options import FilePath


@click.command("new")
@click.argument("kind", metavar="method|metric|dataset|model|suite")
@click.argument("name")
@click.option("--folder", type=FilePath(path_type=Path, file_okay=False), help="Where to.  [default: here]")
@click.option("--package", is_flag=True, help="An installable package, found where it is installed.")
def command(kind: str, name: str, folder: Path | None, package: bool) -> None:
    """Write a plugin or suite to start from, and its test."""
    from mubench.commands.new import write_new

    raise SystemExit(write_new(kind, name, folder or Path(), make_console(), package))
