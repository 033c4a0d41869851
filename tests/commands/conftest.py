"""Commands called in this process, in an empty folder, on made-up images."""

import shutil
from pathlib import Path

import pytest
import reports
from click.testing import CliRunner
from renderings import SUITE, TINY, invoke

from mubench.cli import main

MADE_UP = Path(__file__).parents[1] / "made_up"


@pytest.fixture
def call(home, made_up, no_pictures):
    """`call(*words)` -> (exit code, stdout, stderr)."""

    def invoke(*words):
        result = CliRunner().invoke(main, [str(w) for w in words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return invoke


@pytest.fixture
def run(call, suite_file):
    """`run(*words, change="")`: `mubench run` of the tiny suite in this process."""
    return lambda *words, change="": call("run", "--suite", suite_file(change), "--jobs", 0, *words)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """`made_once(name, toml, *words)`: a folder with `tiny.toml`, its `store` and `out`, run once for all.

    Returns it with the run's exit code and output.
    """
    import mubench.datasets

    made = {}

    def run(name, toml, *words, pictures=False):
        if (name, toml) not in made:
            folder = tmp_path_factory.mktemp(name)
            (folder / "tiny.toml").write_text(toml, encoding="utf-8")
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(mubench.datasets, "__path__", [*mubench.datasets.__path__, str(MADE_UP)])
                if not pictures:
                    patch.setattr("mubench.reporting.results.write_plots", lambda *_: [])
                patch.setenv("MUBENCH_STORE", str(folder / "store"))
                patch.setenv("COLUMNS", "200")
                patch.chdir(folder)
                words = ("--suite", "tiny.toml", "--out", "out", "--jobs", 0, "--device", "cpu", *words)
                made[name, toml] = folder, *invoke("run", *words)
        return made[name, toml]

    return run


@pytest.fixture
def ran(home, made_up, suite_file, made_once):
    """`ran(*options)`: the tiny suite run in this process; its folder of results.

    Without options it is a copy of a run that all tests share.
    """

    def run(*options, change=SUITE, out="out"):
        """Into the folder `out`, or with None where the options say."""
        suite = suite_file(change)
        if not options:
            whole, code, output = made_once("ran", suite.read_text(encoding="utf-8"), pictures=True)
            shutil.copytree(whole / "store", home / "store")
            shutil.copytree(whole / "out", home / out)
        else:
            place = () if out is None else ("--out", out)
            code, output = invoke("run", "--suite", suite, *place, "--jobs", 0, "--device", "cpu", *options)
        assert code == 0, output
        return home / (out or "")

    return run


@pytest.fixture
def report(call, home):
    """`report(target, *options)`: the page written, as text, with an empty store unless --store is given."""

    def write(target=reports.PUBLISHED, *options):
        code, _, err = call("report", target, "--store", home / "empty", *options, "--out", "report.html")
        assert code == 0, err
        return (home / "report.html").read_text(encoding="utf-8")

    return write


@pytest.fixture
def failing_run(home, made_up, suite_file, plugin_file, made_once):
    """A run with a method that fails and one that logs, its records in the store; the folder of results."""
    toml = suite_file(reports.SUITE).read_text(encoding="utf-8")
    whole, code, output = made_once("failing", toml, "--plugin", plugin_file(reports.MINE))
    assert code == 1, output
    shutil.copytree(whole / "store", home / "store")
    return shutil.copytree(whole / "out", home / "out")


@pytest.fixture(scope="session")
def tiny_run(made_once):
    """A folder with the tiny suite, run once: `tiny.toml`, `store`, `out`, and `numbers.zip` of the suite."""
    import mubench.datasets

    folder, code, said = made_once("tiny", TINY)
    assert code == 0, said
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mubench.datasets, "__path__", [*mubench.datasets.__path__, str(MADE_UP)])
        patch.chdir(folder)
        code, said = invoke(
            *("store", "export", "--suite", "tiny.toml", "--device", "cpu", "--numbers", "-o", "numbers.zip"),
            *("--store", "store"),
        )
        assert code == 0, said
    return folder


@pytest.fixture
def tiny(tiny_run, home, made_up):
    """The working directory with a copy of all that `tiny_run` has."""
    shutil.copytree(tiny_run, home, dirs_exist_ok=True)
    return home
