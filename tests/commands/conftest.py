"""Commands called in this process, in an empty folder, on made-up images."""

import shutil
from pathlib import Path

import pytest
import reports
from click.testing import CliRunner
from renderings import SUITE, TINY, invoke

from mubench.cli import main


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


@pytest.fixture
def ran(home, made_up, suite_file):
    """`ran(*options)`: the tiny suite run in this process; its folder of results."""

    def run(*options, change=SUITE, out="out"):
        """Into the folder `out`, or with None where the options say."""
        place = () if out is None else ("--out", out)
        words = ("run", "--suite", suite_file(change), *place, "--jobs", 0, "--device", "cpu", *options)
        code, output = invoke(*words)
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
def failing_run(run, home, plugin_file):
    """A run with a method that fails and one that logs, its records in the store; the folder of results."""
    code, _, err = run("--out", home / "out", "--plugin", plugin_file(reports.MINE), change=reports.SUITE)
    assert code == 1, err
    return home / "out"


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """A folder with the tiny suite, run once: `tiny.toml`, `store`, `out`, and `numbers.zip` of the suite."""
    import mubench.datasets

    folder = tmp_path_factory.mktemp("tiny")
    made_up = str(Path(__file__).parents[1] / "made_up")
    (folder / "tiny.toml").write_text(TINY, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mubench.datasets, "__path__", [*mubench.datasets.__path__, made_up])
        patch.setattr("mubench.reporting.results.write_plots", lambda *_: [])
        patch.setenv("MUBENCH_STORE", str(folder / "store"))
        patch.chdir(folder)
        words = ("--suite", "tiny.toml", "--device", "cpu")
        code, said = invoke("run", *words, "--jobs", 0, "--out", "out")
        assert code == 0, said
        code, said = invoke("store", "export", *words, "--numbers", "-o", "numbers.zip")
        assert code == 0, said
    return folder


@pytest.fixture
def tiny(tiny_run, home, made_up):
    """The working directory with a copy of all that `tiny_run` has."""
    shutil.copytree(tiny_run, home, dirs_exist_ok=True)
    return home
