"""The command line. Commands only translate between words and the harness."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import mubench
from mubench.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from mubench.commands.request import Request
    from mubench.storage.store import Store

DEFAULT_SUITE = "digits-random-50"
INTERRUPTED = 130  # as the shell says it of Ctrl-C


class _Friendly(click.Group):
    """Turns wrong usage into one clear line and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UsageError as error:
            raise _Refused(str(error)) from error
        except click.UsageError as error:  # click's own takes four lines for it
            raise _Refused(error.format_message()) from error
        except KeyboardInterrupt:  # before the first cell, or after the last
            click.echo(
                "Interrupted: what was finished is saved. The same command goes on from there.", err=True
            )
            raise SystemExit(INTERRUPTED) from None
        except BrokenPipeError:  # `mubench list methods | head`
            raise
        except OSError as error:  # a full disk, a vanished folder: what is in the store stays
            where = f"{error.filename}: " if error.filename else ""
            raise _Refused(f"{where}{error.strerror or error}; what was finished is in the store") from error


class _Refused(click.ClickException):
    exit_code = 2


@click.group(cls=_Friendly, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(mubench.__version__, prog_name="mubench")
def main() -> None:
    """How close does machine unlearning come to retraining, at what cost, and is it real?"""


def _keep_data_root(_: click.Context, __: click.Parameter, path: Path | None) -> None:
    if path is not None:
        os.environ["MUBENCH_DATA"] = str(path.absolute())  # workers inherit it


class _Folder(click.Path):
    """A folder's path; an empty one would silently be the working directory."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        if value == "":
            self.fail("the path is empty", parameter, context)
        return super().convert(value, parameter, context)


_FOLDER = _Folder(path_type=Path, file_okay=False)
# Options that several commands share, each said once.
_OPTIONS = {
    "suite": click.option(
        "--suite", default=DEFAULT_SUITE, show_default=True, help="A suite's name or TOML file."
    ),
    "methods": click.option(
        "--methods", help="Only these rows, comma-separated; Retrain and Original always join."
    ),
    "seeds": click.option("--seeds", type=int, help="Only the first N seeds of the suite."),
    "plugin": click.option(
        "--plugin",
        "plugins",
        type=click.Path(path_type=Path),
        multiple=True,
        help="A Python file with methods of your own (repeatable).",
    ),
    "profile": click.option("--profile", help="A profile of the suite, such as small."),
    "set": click.option(
        "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Override a key of the suite."
    ),
    "device": click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda."),
    "precision": click.option("--precision", help="auto, fp32 or bf16.  [default: the suite's]"),
    "jobs": click.option("--jobs", type=click.IntRange(min=0), help="Cells at once; 0 runs in this process."),
    "store": click.option(
        "--store",
        type=_FOLDER,
        help="Where records are kept. Default: $MUBENCH_STORE or the user's data folder.",
    ),
    "data-root": click.option(
        "--data-root",
        type=_FOLDER,
        expose_value=False,
        callback=_keep_data_root,
        help="Where datasets lie. Default: $MUBENCH_DATA or the user's data folder.",
    ),
    "out": click.option("--out", type=_FOLDER, help="Output folder."),
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


def _console(stderr: bool = False) -> Console:
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = 200  # a file or a pipe has no edge: nothing is cut off
    return console


@main.command()
@_options("suite methods seeds plugin profile set device precision jobs")
@click.option("--exclusive-timing", is_flag=True, help="One cell at a time; time again those that shared.")
@_options("store data-root out")
def run(**options: Any) -> None:
    """Run a suite: train what is missing, print the table, write tables and plots."""
    from mubench.commands.run import run_suite

    code = run_suite(_request(options), _console(), _console(True))
    if code == INTERRUPTED:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # taking torch apart in good order can take longer than a person waits
    raise SystemExit(code)


@main.command()
@click.option("--trials", default=12, show_default=True, help="Trials per method, the same for all.")
@click.option("--dev-seeds", default=2, show_default=True, help="Development forget sets.")
@_options("suite methods plugin profile set device precision jobs store data-root out")
def tune(trials: int, dev_seeds: int, **options: Any) -> None:
    """Search hyper-parameters on validation data and development forget sets."""
    from mubench.commands.tune import tune_suite

    raise SystemExit(tune_suite(_request(options), trials, dev_seeds, _console(), _console(True)))


@main.command()
@_options("suite methods seeds plugin profile set device precision jobs store data-root json")
def plan(as_json: bool, **options: Any) -> None:
    """List a suite's cells, which are in the store, and the expected time of the rest."""
    from mubench.commands.plan import plan_suite

    raise SystemExit(plan_suite(_request(options), _console(), _console(True), as_json))


@main.command()
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads. Default: all cores.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Turns of a loop.")
@click.option("--seconds", type=click.FloatRange(min=0.01), default=1.0, show_default=True, help="Of a turn.")
@_options("suite profile set device precision store data-root json")
def speed(threads: int | None, rounds: int, seconds: float, as_json: bool, **options: Any) -> None:
    """Measure how fast this machine trains a suite's model, against a plain loop and the ceiling."""
    from mubench.commands.speed import speed_suite

    request, out, errors = _request(options), _console(), _console(True)
    raise SystemExit(
        speed_suite(request, out, errors, threads=threads, rounds=rounds, seconds=seconds, as_json=as_json)
    )


@main.command()
@click.argument("suite_or_folder")
@_options("plugin profile store data-root out")
def render(**options: Any) -> None:
    """Make tables and plots of SUITE-OR-FOLDER from the store, training nothing."""
    from mubench.commands.render import render_again

    target = options.pop("suite_or_folder")
    code = render_again(target, **{**options, "store": _open_store(options["store"])}, console=_console())
    raise SystemExit(code)


@main.command("list")
@click.argument("what", metavar="methods|suites|datasets|metrics")
@_options("plugin json")
def list_(what: str, plugins: tuple[Path, ...], as_json: bool) -> None:
    """List the methods, suites, datasets or metrics there are."""
    from mubench.commands.listing import listing

    entries = listing(what, plugins)
    if as_json:
        click.echo(json.dumps(entries, indent=1))
        return
    width = max((len(e["name"]) for e in entries), default=0)
    for entry in entries:
        click.echo(f"{entry['name']:<{width}}  {entry['summary']}")


@main.command()
@click.argument("kind", metavar="method|suite|dataset|metric")
@click.argument("name")
@_options("plugin json")
def show(kind: str, name: str, plugins: tuple[Path, ...], as_json: bool) -> None:
    """Show one of them in full: for a method its docstring, citation, parameters and search space."""
    from mubench.commands.listing import detail, detail_text

    entry = detail(kind, name, plugins)
    click.echo(json.dumps(entry, indent=1) if as_json else detail_text(entry))
