"""The command line: translates words into requests, and errors into lines and exit codes."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import mubench
from mubench.commands.console import make_console, print_any_character
from mubench.errors import UsageError, printable

if TYPE_CHECKING:
    from mubench.commands.request import Request
    from mubench.storage.store import Store

DEFAULT_SUITE = "digits-random-50"
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


class _Path(click.Path):
    """A path; an empty one is refused, not taken for the working directory."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the path is empty", param, ctx)
        return super().convert(value, param, ctx)


def _keep_data_root(_: click.Context, __: click.Parameter, path: Path | None) -> None:
    if path is not None:
        os.environ["MUBENCH_DATA"] = str(path.absolute())  # workers inherit it


def _finite(_: click.Context, __: click.Parameter, seconds: float) -> float:
    if not math.isfinite(seconds):
        raise click.BadParameter(f"{seconds} is not a finite number of seconds")
    return seconds


_FOLDER = _Path(path_type=Path, file_okay=False)
# Options that several commands share.
_OPTIONS = {
    "suite": click.option(
        "--suite", default=DEFAULT_SUITE, show_default=True, help="A suite's name or TOML file."
    ),
    "methods": click.option(
        "--methods", help="Only these rows, comma-separated; Retrain and Original always join."
    ),
    "first-seeds": click.option(
        "--first-seeds", "--seeds", "first_seeds", type=int, help="Only the first N seeds of the suite."
    ),
    "plugin": click.option(
        "--plugin",
        "plugins",
        type=_Path(path_type=Path),
        multiple=True,
        help="A Python file with your own methods, metrics, datasets or models (repeatable).",
    ),
    "profile": click.option("--profile", help="A profile of the suite, such as small."),
    "set": click.option(
        "--set",
        "set_options",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override a key of the suite (repeatable).",
    ),
    "device": click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda."),
    "precision": click.option("--precision", help="auto, fp32 or bf16.  [default: the suite's]"),
    "compile": click.option(
        "--compile/--no-compile",
        "compiled",
        default=None,
        help="Compile models with torch.compile.  [default: the suite's]",
    ),
    "jobs": click.option(
        "--jobs", type=click.IntRange(min=0), help="Cells run at once; 0 runs them in this process."
    ),
    "store": click.option(
        "--store",
        type=_FOLDER,
        help="Folder of records.  [default: $MUBENCH_STORE or a user folder]",
    ),
    "data-root": click.option(
        "--data-root",
        type=_FOLDER,
        expose_value=False,
        callback=_keep_data_root,
        help="Folder of datasets.  [default: $MUBENCH_DATA or a user folder]",
    ),
    "out": click.option("--out", type=_FOLDER, help="Output folder.  [default: results/SUITE]"),
    "publish": click.option("--publish", is_flag=True, help="Write to results/published, which git tracks."),
    "json": click.option("--json", "as_json", is_flag=True, help="Print JSON."),
}


def _options(names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names.split()):
            command = _OPTIONS[name](command)
        return command

    return add


def _open_store(path: Path | None) -> Store:
    from mubench.storage.store import Store, default_store

    return Store(path or default_store())


def _request(options: dict[str, Any]) -> Request:
    from mubench.commands.request import Request

    return Request(**{**options, "store": _open_store(options["store"])})


# The first sentence of a command's docstring is its line in `mubench --help`, cut after 66 characters.
@main.command()
@_options("suite methods first-seeds plugin profile set device precision compile jobs")
@click.option("--exclusive-timing", is_flag=True, help="One cell at a time; time again those that shared.")
@_options("store data-root publish out")
def run(**options: Any) -> None:
    """Run a suite: train what is missing, write tables and plots."""
    from mubench.commands.run import run_suite

    raise SystemExit(run_suite(_request(options), make_console(), make_console(stderr=True)))


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
@_options("suite methods plugin profile set device precision compile jobs store data-root publish out")
def tune(trials: int, dev_seeds: int, **options: Any) -> None:
    """Search hyper-parameters on validation data.

    The forget sets are drawn for development alone: no table shows them.
    """
    from mubench.commands.tune import tune_suite

    console, errors = make_console(), make_console(stderr=True)
    raise SystemExit(tune_suite(_request(options), trials, dev_seeds, console, errors))


@main.command()
@click.argument("suite")
@click.option(
    "--floor",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Also try the noise floor on N further Retrains (12 or more).",
)
@_options("methods first-seeds plugin profile set device jobs store data-root publish out json")
def doctor(floor: int, as_json: bool, **options: Any) -> None:
    """Tell whether a suite discriminates: signal to noise, ranks.

    Runs it also in the other precision and on another number of threads. Writes doctor.md and doctor.json
    beside the results.
    """
    from mubench.commands.doctor import doctor_suite

    console, errors = make_console(), make_console(stderr=True)
    raise SystemExit(doctor_suite(_request(options), floor, console, errors, as_json))


@main.command()
@_options("suite methods first-seeds plugin profile set device precision compile jobs store data-root json")
def plan(as_json: bool, **options: Any) -> None:
    """List a suite's cells and the expected time of those to run."""
    from mubench.commands.plan import plan_suite

    raise SystemExit(plan_suite(_request(options), make_console(), as_json))


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
@_options("suite profile set device precision store data-root json")
def speed(threads: int | None, rounds: int, seconds: float, as_json: bool, **options: Any) -> None:
    """Measure how fast this machine trains a suite's model.

    It is compared with a plain training loop and with the speed of matrix products.
    """
    from mubench.commands.speed import speed_suite

    request, console, errors = _request(options), make_console(), make_console(stderr=True)
    raise SystemExit(
        speed_suite(
            request, console, errors, threads=threads, rounds=rounds, seconds=seconds, as_json=as_json
        )
    )


@main.command()
@click.option("--tables", type=_Path(path_type=Path), help="Another paper's CSV.  [default: the paper's]")
@_options("json")
def audit(tables: Path | None, as_json: bool) -> None:
    """Find printed gaps that do not follow from the printed values."""
    from mubench.commands.audit import audit_tables

    raise SystemExit(audit_tables(tables, make_console(), as_json))


@main.command()
@click.option(
    "--tables",
    type=_Path(path_type=Path),
    multiple=True,
    help="A further paper's CSV, beside those that come along (repeatable).",
)
@_options("suite methods first-seeds plugin profile set device precision compile store publish out json")
def diff(tables: tuple[Path, ...], as_json: bool, **options: Any) -> None:
    """Put a suite's rows beside published ones, cell by cell.

    MIA stands beside MIA only where the published attack is the SVC.
    """
    from mubench.commands.diff import diff_suite

    raise SystemExit(diff_suite(_request(options), tables, make_console(), as_json))


@main.command()
@click.argument("suite_or_folder")
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
@_options("plugin profile store data-root out")
def render(columns: str | None, style: str, **options: Any) -> None:
    """Make tables and plots of a suite or folder, training nothing."""
    from mubench.commands.render import read_look, render_again

    target, store = options.pop("suite_or_folder"), _open_store(options.pop("store"))
    look = read_look(columns, style == "compact")
    raise SystemExit(render_again(target, **options, store=store, console=make_console(), look=look))


@main.command()
@click.argument("suite_or_folder")
@_options("plugin profile store data-root")
@click.option(
    "--out",
    type=_Path(path_type=Path, dir_okay=False),
    help="The file.  [default: report.html in the folder of the results]",
)
def report(**options: Any) -> None:
    """Write one HTML file about a suite or folder, training nothing.

    It holds the table, every picture, what each method was and cost, and where the numbers come from.
    """
    from mubench.commands.report import write_report

    target, store = options.pop("suite_or_folder"), _open_store(options.pop("store"))
    raise SystemExit(write_report(target, **options, store=store, console=make_console()))


@main.command("list")
@click.argument("what", metavar="methods|metrics|datasets|models|suites")
@_options("plugin json")
def list_(what: str, plugins: tuple[Path, ...], as_json: bool) -> None:
    """List the methods, metrics, datasets, models or suites."""
    from mubench.commands.list import listing, listing_text

    entries = listing(what, plugins)
    click.echo(json.dumps(entries, indent=1) if as_json else listing_text(entries))


@main.command()
@click.argument("kind", metavar="method|metric|dataset|model|suite|record")
@click.argument("name")
@_options("plugin store json")
def show(kind: str, name: str, plugins: tuple[Path, ...], store: Path | None, as_json: bool) -> None:
    """Show a method, metric, dataset, model, suite or record in full.

    A method has a docstring, citation, parameters and search space. The NAME of a record is the first digits
    of its key, from cells.csv or a message.
    """
    from mubench.commands.show import detail, detail_text, record, record_text

    if kind == "record":
        entry, text = record(_open_store(store), name), record_text
    else:
        entry, text = detail(kind, name, plugins), detail_text
    click.echo(json.dumps(entry, indent=1) if as_json else text(entry))
