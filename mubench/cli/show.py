"""The words of `mubench show`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mubench.commands.options import open_store, options


@click.command("show")
@click.argument("kind", metavar="method|metric|dataset|model|engine|suite|record")
@click.argument("name")
@options("plugin store json")
def command(kind: str, name: str, plugins: tuple[Path, ...], store: Path | None, as_json: bool) -> None:
    """Show a method, metric, dataset, model, suite or record.

    A method has a docstring, citation, parameters and search space. The NAME of a record is the first digits
    of its key, from cells.csv or a message.
    """
    from mubench.commands.show import detail, detail_text, record, record_text

    if kind == "record":
        entry, text = record(open_store(store), name), record_text
    else:
        entry, text = detail(kind, name, plugins), detail_text
    click.echo(json.dumps(entry, indent=1) if as_json else text(entry))
