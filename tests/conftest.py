"""A made-up dataset, suites and plugins written from strings, and runs of them in a folder of their own."""

import os
import signal
import textwrap
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small models are slower on more
os.environ.setdefault("MPLBACKEND", "agg")

import pytest
from suites import BLOBS

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell starts what it does not wait for
    signal.signal(signal.SIGINT, signal.default_int_handler)

HEAD = """
import os, sys, time
import torch
from torch import nn
from mubench import Step, choice, cross_entropy_loss, log_uniform, method
"""


@pytest.fixture
def raw(made_up):
    """The made-up dataset's arrays."""
    from mubench.discovery.find import Catalogue, load_function

    return load_function(Catalogue().datasets["blobs"])()


@pytest.fixture
def made_up(monkeypatch):
    """The dataset "blobs" among the built-in ones, in this process and those that it forks."""
    import mubench.datasets

    folder = str(Path(__file__).parent / "made_up")
    monkeypatch.setattr(mubench.datasets, "__path__", [*mubench.datasets.__path__, folder])


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty working directory; nothing is written outside it."""
    monkeypatch.setenv("MUBENCH_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def suite_file(tmp_path):
    """`suite_file(change="", name="tiny", drop=(), tables="")`: BLOBS with lines of TOML replaced or added.

    The last line of a key counts; a key in `drop` is left out; `tables` follow at the end.
    """

    def write(change="", name="tiny", drop=(), tables=""):
        top, _, recipe = BLOBS.strip().partition("[original]")
        lines = [line.strip() for line in (top + textwrap.dedent(change)).splitlines() if line.strip()]
        by_key = {line.partition("=")[0].strip(): line for line in lines}
        kept = [line for key, line in by_key.items() if key not in drop]
        rest = "" if "[original]" in tables else f"[original]{recipe}"
        path = tmp_path / f"{name}.toml"
        path.write_text("\n".join([*kept, rest, textwrap.dedent(tables)]), encoding="utf-8")
        return path

    return write


@pytest.fixture
def plugin_file(tmp_path):
    """`plugin_file(body, name="mine")`: a Python file with the usual imports and this body."""

    def write(body, name="mine", head=HEAD):
        path = tmp_path / f"{name}.py"
        path.write_text(head + textwrap.dedent(body), encoding="utf-8")
        return path

    return write


@pytest.fixture
def bench(home, made_up, suite_file):
    """`bench(change, plugins=(), jobs=0, store="store", ...)`: a suite planned and run, as by `mubench run`.

    Returns (plan, outcomes by (row's method or "", seed, run), store). Of a method X with an original of its
    own kind there are "X ()", "X (Original)" and "X (Retrain)" too.
    """
    from mubench.commands.request import Request, prepare
    from mubench.running.executor import execute
    from mubench.storage.store import Store

    def run(change="", plugins=(), jobs=0, store="store", tables="", drop=(), dry=False, **options):
        path = suite_file(change, drop=drop, tables=tables)
        root = store if isinstance(store, Store) else Store(home / store)
        plan = prepare(Request(str(path), root, plugins=tuple(plugins), device="cpu", **options))
        if dry:
            return plan
        outcomes = execute(plan.missing(root), root, jobs)
        names = [(named(o.cell), o.cell.seed, o.cell.stream) for o in outcomes]
        return plan, dict(zip(names, outcomes, strict=True)), root

    def named(cell):
        name = cell.spec.name if cell.spec else ""
        return f"{cell.own.spec.name} ({name})" if cell.own and cell.own.spec != cell.spec else name

    return run


@pytest.fixture
def keys():
    """`keys(plan)`: row -> seed -> key, and "" for the originals."""

    def of(plan):
        originals = {c.seed: c.key for c in plan.cells if c.spec is None and c.own is None}
        return {"": originals, **{row.name: row.keys for row in plan.rows}}

    return of


@pytest.fixture
def no_pictures(monkeypatch):
    """Tables without plots, which take seconds."""
    monkeypatch.setattr("mubench.reporting.results.write_plots", lambda *_: [])
