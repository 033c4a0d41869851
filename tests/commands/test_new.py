"""`mubench new`: files that run as they are, and refusals that lose nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mubench.commands.new import KINDS
from mubench.discovery.find import load_plugin

NAMES = {"method": "My-Method", "metric": "sure", "dataset": "stripes", "model": "tiny-net", "suite": "mine"}


@pytest.fixture
def written(call, home):
    """All five kinds, in the working directory."""
    for kind, name in NAMES.items():
        code, out, err = call("new", kind, name)
        assert (code, err) == (0, "")
        assert "python -m pytest test_" in out
    return home


def test_names_become_files(written):
    stems = ("my_method", "sure", "stripes", "tiny_net")
    found = {p.name for p in written.iterdir()} - {"store"}

    assert found == {f"{s}.py" for s in stems} | {f"test_{s}.py" for s in (*stems, "mine")} | {"mine.toml"}
    assert [load_plugin(written / f"{s}.py")[0].name for s in stems] == list(NAMES.values())[:4]


def test_what_is_written_passes_the_check_without_advice(call, written):
    for stem in ("my_method", "sure", "stripes", "tiny_net"):
        code, out, _ = call("check", f"{stem}.py")
        assert (code, "advice" in out, "skip" in out) == (0, False, False), out


def test_the_suite_takes_the_plugins(call, written):
    files = [
        word for stem in ("my_method", "sure", "stripes", "tiny_net") for word in ("--plugin", f"{stem}.py")
    ]
    words = ("--set", "dataset=stripes", "--set", "model=tiny-net")
    code, out, err = call("plan", "--suite", "mine.toml", *files, *words)

    assert (code, err) == (0, "")
    assert "My-Method" in out


@pytest.mark.slow
def test_the_tests_pass(written):
    folder = Path(sys.executable).parent
    env = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    done = subprocess.run(words, cwd=written, env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
    assert "9 passed" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("metod", "X"), "unknown kind 'metod'. Did you mean 'method'?"),
        (("method", "ft"), "there is a method called 'FT' already"),
        (("suite", "digits-random-50"), "there is a suite called 'digits-random-50' already"),
        (("model", "resnet18"), "there is a model called 'resnet18' already"),
        (("method", "a b"), "'a b' is no name for a method; expected letters and digits"),
        (("method", "../x"), "'../x' is no name"),
        (("method", "2fast"), "'2fast' is no name"),
        (("method", ""), "'' is no name"),
        (("method", "x" * 61), "is no name"),
        (("model", "class"), "'class' is a word of Python"),
    ],
)
def test_bad_names_write_nothing(call, home, words, said):
    code, out, err = call("new", *words)

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert not list(home.glob("*.*"))


@pytest.mark.parametrize("name", ["mine.py", "test_mine.py"])
def test_an_existing_file_stays(call, home, name):
    (home / name).write_text("precious")

    code, _, err = call("new", "method", "mine")

    assert (code, f"{name} exists already" in err) == (2, True)
    assert [p.name for p in home.glob("*.*")] == [name]
    assert (home / name).read_text() == "precious"


def test_another_folder(call, home):
    assert call("new", "metric", "sure", "--folder", home / "deep" / "er")[0] == 0
    assert (home / "deep" / "er" / "test_sure.py").is_file()


def test_every_kind_says_how_to_try_it():
    assert list(KINDS) == list(NAMES)
