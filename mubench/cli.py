"""The command line: translates words into requests, and errors into lines and exit codes."""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import click

import mubench
from mubench.commands.completion import complete_suite, completion
from mubench.commands.console import make_console, print_any_character
from mubench.commands.options import DEFAULT_SUITE, FilePath, make_request, open_store, options
from mubench.errors import UsageError, printable

INTERRUPTED = 130  # a shell's exit code for Ctrl-C


class _Refused(click.ClickException):
    """One line on stderr and exit code 2."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class _Commands(click.Group):
    """Turns wrong usage into one line and exit code 2, and Ctrl-C into exit code 130."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        print_any_character()
        try:
            return super().make_context(*args, **extra)
        except click.NoSuchOption as error:  # click's own takes four lines for it
            raise _Refused(error.format_message()) from error

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UsageError as error:
            raise _Refused(str(error)) from error
        except click.UsageError as error:
            raise _Refused(error.format_message()) from error
        except KeyboardInterrupt as interrupt:
            fallback = "Interrupted: what was finished is saved. The same command goes on from there."
            click.echo(str(interrupt) or fallback, err=True)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(INTERRUPTED)  # taking torch apart in good order can take longer than a person waits
        except BrokenPipeError:  # `mubench list methods | head`
            raise
        except OSError as error:  # a full disk, a vanished folder: what is in the store stays
            where = f"{error.filename}: " if error.filename else ""
            raise _Refused(f"{where}{error.strerror or error}; what was finished is in the store") from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(mubench.__version__, prog_name="mubench")
def main() -> None:
    """How close does machine unlearning come to retraining, at what cost, and is it real?"""


def _finite(_: click.Context, __: click.Parameter, seconds: float) -> float:
    if not math.isfinite(seconds):
        raise click.BadParameter(f"{seconds} is not a finite number of seconds")
    return seconds


# The first sentence of a command's docstring is its line in `mubench --help`, cut after 66 characters.
@main.command()
@options("suite methods first-seeds plugin profile set device precision compile jobs")
@click.option("--exclusive-timing", is_flag=True, help="One cell at a time; time again those that shared.")
@click.option("--dry-run", is_flag=True, help="Only say what would be run: the same as mubench plan.")
@options("store data-root publish out wide")
def run(dry_run: bool, wide: bool, **chosen: Any) -> None:
    """Run a suite: train what is missing, write tables and plots."""
    from mubench.commands.plan import plan_suite
    from mubench.commands.run import run_suite

    request, console = make_request(chosen), make_console()
    if dry_run:
        raise SystemExit(plan_suite(request, console, as_json=False))
    raise SystemExit(run_suite(request, console, make_console(stderr=True), wide))


@main.command()
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
@options("suite methods plugin profile set device precision compile jobs store data-root publish out")
def tune(trials: int, dev_seeds: int, **chosen: Any) -> None:
    """Search hyper-parameters on validation data.

    The forget sets are drawn for development alone: no table shows them.
    """
    from mubench.commands.tune import tune_suite

    console, errors = make_console(), make_console(stderr=True)
    raise SystemExit(tune_suite(make_request(chosen), trials, dev_seeds, console, errors))


@main.command()
@click.argument("suite", shell_complete=complete_suite)
@click.option(
    "--floor",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Also try the noise floor on N further Retrains (12 or more).",
)
@options("methods first-seeds plugin profile set device jobs store data-root publish out json")
def doctor(floor: int, as_json: bool, **chosen: Any) -> None:
    """Tell whether a suite discriminates: signal to noise, ranks.

    Runs it also in the other precision and on another number of threads. Writes doctor.md and doctor.json
    beside the results.
    """
    from mubench.commands.doctor import doctor_suite

    console, errors = make_console(), make_console(stderr=True)
    raise SystemExit(doctor_suite(make_request(chosen), floor, console, errors, as_json))


@main.command()
@options("suite methods first-seeds plugin profile set device precision compile jobs store data-root json")
def plan(as_json: bool, **chosen: Any) -> None:
    """List a suite's cells and the expected time of those to run."""
    from mubench.commands.plan import plan_suite

    raise SystemExit(plan_suite(make_request(chosen), make_console(), as_json))


@main.command()
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
@options("suite profile set device precision store data-root json")
def speed(threads: int | None, rounds: int, seconds: float, as_json: bool, **chosen: Any) -> None:
    """Measure how fast this machine trains a suite's model.

    It is compared with a plain training loop and with the speed of matrix products.
    """
    from mubench.commands.speed import speed_suite

    request, console, errors = make_request(chosen), make_console(), make_console(stderr=True)
    raise SystemExit(
        speed_suite(
            request, console, errors, threads=threads, rounds=rounds, seconds=seconds, as_json=as_json
        )
    )


@main.command()
@click.option("--tables", type=FilePath(path_type=Path), help="Another paper's CSV.  [default: the paper's]")
@options("json")
def audit(tables: Path | None, as_json: bool) -> None:
    """Find printed gaps that do not follow from the printed values."""
    from mubench.commands.audit import audit_tables

    raise SystemExit(audit_tables(tables, make_console(), as_json))


@main.command()
@click.option(
    "--tables",
    type=FilePath(path_type=Path),
    multiple=True,
    help="A further paper's CSV, beside those that come along (repeatable).",
)
@options("suite methods first-seeds plugin profile set device precision compile store publish out json")
def diff(tables: tuple[Path, ...], as_json: bool, **chosen: Any) -> None:
    """Put a suite's rows beside published ones, cell by cell.

    MIA stands beside MIA only where the published attack is the SVC.
    """
    from mubench.commands.diff import diff_suite

    raise SystemExit(diff_suite(make_request(chosen), tables, make_console(), as_json))


@main.command()
@click.argument("first")
@click.argument("second")
@click.option(
    "--suite", default=DEFAULT_SUITE, show_default=True, help="A suite's name or TOML file, or a folder."
)
@click.option("--metric", help="A metric or Avg. Gap, by title or name.  [default: the suite's headline]")
@options("plugin profile store data-root out json")
def compare(first: str, second: str, suite: str, metric: str | None, as_json: bool, **chosen: Any) -> None:
    """Tell whether one row is closer to Retrain than another."""
    from mubench.commands.compare import compare_rows
    from mubench.commands.render import find_results

    store = open_store(chosen.pop("store"))
    found = find_results(suite, store, **chosen)
    console = make_console()
    raise SystemExit(
        compare_rows(found, first, second, store=store, console=console, metric=metric, as_json=as_json)
    )


@main.command()
@click.argument("suite_or_folder", shell_complete=complete_suite)
@click.option("--columns", help='Only these columns, by title: UA,TA,"Avg. Gap (SVC)".')
@click.option(
    "--style",
    type=click.Choice(["full", "compact"]),
    default="full",
    show_default=True,
    help="compact: 4.51 (0.89), without standard deviations.",
)
@click.option(
    "--width",
    type=click.Choice(["screen", "page", "column"]),
    default="screen",
    show_default=True,
    help="Plots of 8 inches, or as wide as a paper's page (6.75) or column (3.25).",
)
@options("plugin profile store data-root out wide")
def render(columns: str | None, style: str, wide: bool, **chosen: Any) -> None:
    """Make tables and plots of a suite or folder, training nothing."""
    from mubench.commands.render import read_look, render_again

    target, store = chosen.pop("suite_or_folder"), open_store(chosen.pop("store"))
    look = read_look(columns, style == "compact", wide)
    raise SystemExit(render_again(target, **chosen, store=store, console=make_console(), look=look))


@main.command()
@click.argument("suite_or_folder", shell_complete=complete_suite)
@options("plugin profile store data-root")
@click.option(
    "--out",
    type=FilePath(path_type=Path, dir_okay=False),
    help="The file.  [default: report.html in the folder of the results]",
)
def report(**chosen: Any) -> None:
    """Write one HTML file about a suite or folder, training nothing.

    It holds the table, every picture, what each method was and cost, and where the numbers come from.
    """
    from mubench.commands.report import write_report

    target, store = chosen.pop("suite_or_folder"), open_store(chosen.pop("store"))
    raise SystemExit(write_report(target, **chosen, store=store, console=make_console()))


@main.command("list")
@click.argument("what", metavar="methods|masks|metrics|datasets|models|suites")
@options("plugin json")
def list_(what: str, plugins: tuple[Path, ...], as_json: bool) -> None:
    """List the methods, masks, metrics, datasets, models or suites."""
    from mubench.commands.list import listing, listing_text

    entries = listing(what, plugins)
    click.echo(json.dumps(entries, indent=1) if as_json else listing_text(entries))


@main.command()
@click.argument("kind", metavar="method|metric|dataset|model|suite|record")
@click.argument("name")
@options("plugin store json")
def show(kind: str, name: str, plugins: tuple[Path, ...], store: Path | None, as_json: bool) -> None:
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


@main.command()
@click.argument("kind", metavar="method|metric|dataset|model|suite")
@click.argument("name")
@click.option("--folder", type=FilePath(path_type=Path, file_okay=False), help="Where to.  [default: here]")
def new(kind: str, name: str, folder: Path | None) -> None:
    """Write a plugin or suite to start from, and its test."""
    from mubench.commands.new import write_new

    raise SystemExit(write_new(kind, name, folder or Path(), make_console()))


@main.command()
@click.argument("file_or_name")
@options("json")
def check(file_or_name: str, as_json: bool) -> None:
    """Tell, rule by rule, whether a plugin honours the contract.

    FILE_OR_NAME is a Python file with methods, metrics, datasets or models, or the name of one that is
    installed. Exit code 1: a rule is broken; what is advice breaks none.
    """
    from mubench.commands.check import check_plugins

    raise SystemExit(check_plugins(file_or_name, make_console(), as_json))


main.add_command(completion)
