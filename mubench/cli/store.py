"""The words of `mubench store` and the commands below it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mubench.commands.completion import complete_suite
from mubench.commands.console import make_console
from mubench.commands.options import FilePath, make_request, open_store, options


@click.group("store", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Look into the store, prune it, move records between machines."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(2)


@command.command()
@options("store json")
def info(store: Path | None, as_json: bool) -> None:
    """Say what is there by kind, how much, and what is damaged."""
    from mubench.commands.stock import show_stock

    raise SystemExit(show_stock(open_store(store), make_console(), as_json))


@command.command()
@options("store json")
def verify(store: Path | None, as_json: bool) -> None:
    """Check everything by its digest and name what is damaged.

    Exit code 1: something is. Nothing is changed; the next run that needs a damaged record makes it anew.
    """
    from mubench.commands.stock import verify_stock

    raise SystemExit(verify_stock(open_store(store), make_console(), as_json))


@command.command()
@click.option(
    "--suite",
    "suites",
    multiple=True,
    shell_complete=complete_suite,
    help="Keep what this suite needs too; a TOML file (repeatable).",
)
@options("plugin")
@click.option(
    "--elsewhere", is_flag=True, help="Also what was made on other machines, and what was imported."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options("store data-root")
def prune(
    suites: tuple[str, ...],
    plugins: tuple[Path, ...],
    elsewhere: bool,
    dry_run: bool,
    yes: bool,
    store: Path | None,
) -> None:
    """Remove what no suite needs.

    Kept are the records of all installed suites and of each --suite, with each of their profiles and the
    methods of --plugin; what running processes work on; and what may belong to suites whose data are not
    here.
    """
    from mubench.commands.prune import Wanted, prune_store

    wanted = Wanted(suites, plugins, elsewhere)
    raise SystemExit(prune_store(open_store(store), wanted, make_console(), dry_run=dry_run, yes=yes))


@command.command("export")
@click.option("--suite", shell_complete=complete_suite, help="Only this suite's.  [default: all records]")
@options("methods first-seeds plugin profile set device precision compile")
@click.option("--numbers", is_flag=True, help="The suite's numbers alone, without the outputs of its cells.")
@click.option("--weights", is_flag=True, help="Also the weights of original models.")
@options("store data-root")
@click.option("--out", "-o", "target", type=FilePath(path_type=Path, dir_okay=False), required=True)
def export(target: Path, numbers: bool, weights: bool, **chosen: Any) -> None:
    """Pack records into one file, with the digest of each.

    A suite's come with its numbers, which `mubench run --reference FILE` compares other methods with. Images,
    data given in Python and, unless asked for, weights stay here.
    """
    from mubench.commands.packing import export_records

    request = make_request({**chosen, "suite": chosen["suite"] or ""})
    raise SystemExit(export_records(request, target, numbers=numbers, weights=weights))


@command.command("import")
@click.argument("archive", type=FilePath(path_type=Path))
@options("store")
def import_(archive: Path, store: Path | None) -> None:
    """Take in what was exported: all of it or, if any is wrong, none."""
    from mubench.commands.packing import import_records

    raise SystemExit(import_records(open_store(store), archive, make_console()))
