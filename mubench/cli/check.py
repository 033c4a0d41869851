"""The words of `mubench check`."""

from __future__ import annotations

import click

from mubench.commands.console import make_console
from mubench.commands.options import options


@click.command("check")
@click.argument("file_or_name")
@options("json")
def command(file_or_name: str, as_json: bool) -> None:
    """Tell, rule by rule, whether a plugin honours the contract.

    FILE_OR_NAME is a Python file with methods, metrics, datasets or models, or the name of one that is
    installed. Exit code 1: a rule is broken; what is advice breaks none.
    """
    from mubench.commands.check import check_plugins

    raise SystemExit(check_plugins(file_or_name, make_console(), as_json))
