"""What several commands take: their options, and the request and the store made of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mubench.commands.completion import complete_suite

if TYPE_CHECKING:
    from mubench.commands.request import Request
    from mubench.storage.store import Store

DEFAULT_SUITE = "digits-random-50"


class FilePath(click.Path):
    """A path; an empty one is refused, not taken for the working directory."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the path is empty", param, ctx)
        return super().convert(value, param, ctx)


def _keep_data_root(_: click.Context, __: click.Parameter, path: Path | None) -> None:
    if path is not None:
        os.environ["MUBENCH_DATA"] = str(path.absolute())  # workers inherit it


_FOLDER = FilePath(path_type=Path, file_okay=False)


def _engine(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say where cells run."""
    for option in (
        click.option(
            "--engine-set",
            multiple=True,
            metavar="KEY=VALUE",
            help="Another option of the engine (repeatable): mubench show engine NAME.",
        ),
        click.option(
            "--gpus-per-cell",
            type=float,
            metavar="SHARE",
            help="With --engine ray: the share of a GPU that a cell gets, as 0.5.  [default: 1]",
        ),
        click.option(
            "--address",
            metavar="HOST[:PORT]",
            help="With --engine ray: the cluster's head node.  [default: auto, the one of this machine]",
        ),
        click.option(
            "--engine",
            default="local",
            show_default=True,
            metavar="NAME",
            help="Where cells run: local, ray, slurm or an installed one.",
        ),
    ):
        command = option(command)
    return command


# Options that several commands share.
_OPTIONS: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "suite": click.option(
        "--suite",
        default=DEFAULT_SUITE,
        show_default=True,
        shell_complete=complete_suite,
        help="A suite's name or TOML file.",
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
        type=FilePath(path_type=Path),
        multiple=True,
        help="A Python file with your own methods, masks, metrics, datasets or models (repeatable).",
    ),
    "profile": click.option("--profile", help="A profile of the suite, such as small."),
    "set": click.option(
        "--set",
        "set_options",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override a key of the suite (repeatable).",
    ),
    "tuned": click.option(
        "--tuned", type=FilePath(path_type=Path), help="Hyper-parameters from a tuned.toml of mubench tune."
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
    "reference": click.option(
        "--reference",
        is_flag=False,
        flag_value="beside",
        metavar="[FILE]",
        help="Train only rows that this exported run lacks; without FILE, the one that comes along.",
    ),
    "engine": _engine,
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
    "wide": click.option(
        "--wide", is_flag=True, help="Every column of the table, however narrow the terminal."
    ),
    "json": click.option("--json", "as_json", is_flag=True, help="Print JSON."),
}


def options(names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator that gives a command these options, in this order; `names` are keys of `_OPTIONS`."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names.split()):
            command = _OPTIONS[name](command)
        return command

    return add


def open_store(path: Path | None) -> Store:
    """The store in this folder, or the usual one."""
    from mubench.storage.store import Store, default_store

    return Store(path or default_store())


def make_request(options: dict[str, Any]) -> Request:
    """What the options ask for."""
    from mubench.commands.request import Request

    return Request(**{**options, "store": open_store(options["store"])})
