"""`mubench new`: files that run as they are, and refusals that lose nothing."""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
from importlib.metadata import distributions
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
    env = {**os.environ, "PATH": "/usr/bin:/bin"}  # of an environment that is not activated
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
        (("method", "torch"), "a file torch.py would hide the module torch from Python"),
        (("dataset", "JSON"), "a file json.py would hide the module json from Python"),
        (("metric", "avg_gap"), "tables have a column 'avg_gap' already"),
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


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """`installed(*words)`: run Python in a new environment that has mubench and packages, and no other."""
    # read from the metadata: to look for the module pip takes setuptools' distutils away from later tests
    for tool in ("pip", "setuptools"):
        if not any(distributions(name=tool)):
            pytest.skip(f"{tool}, which builds and installs packages, is not here")
    home = tmp_path_factory.mktemp("environment")
    venv.create(home / "venv", symlinks=True)
    python = home / "venv" / "bin" / "python"
    paths = sysconfig.get_paths(vars={"base": str(home / "venv"), "platbase": str(home / "venv")})
    # what is installed here is there too, without a download
    here = Path(sysconfig.get_path("purelib"))
    Path(paths["purelib"], "here.pth").write_text(f"import site; site.addsitedir({str(here)!r})\n")
    env = {**os.environ, "MUBENCH_STORE": str(home / "store"), "PYTHONPATH": ""}

    def run(*words, cwd=home):
        command = [str(w) for w in ("python", *words)]
        command[0] = str(python)
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def install(*packages):
        flags = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "-q")
        subprocess.run(
            [sys.executable, "-m", "pip", "--python", str(python), "install", *flags, *map(str, packages)],
            env=env,
            check=True,
            capture_output=True,
        )

    return home, install, run


@pytest.mark.slow  # a new environment, and torch imported in four processes
def test_a_package_is_built_installed_found_and_run(installed, call):
    home, install, run = installed
    for kind, name in (("method", "My-Method"), ("metric", "sure")):
        assert call("new", kind, name, "--package", "--folder", home)[0] == 0
    install(home / "mubench-my-method", home / "mubench-sure")

    assert "rules hold" in run("-m", "mubench", "check", "My-Method")
    tests = run("-m", "pytest", "-q", "-p", "no:cacheprovider", ".", cwd=home / "mubench-my-method")
    assert "2 passed" in tests
    few = ("--first-seeds", "1", "--set", "original.epochs=1", "--set", "floor=0")
    table = run("-m", "mubench", "run", "--methods", "My-Method", *few, "--out", "out", "--jobs", "0")
    assert "My-Method" in table
    assert "sure" in (home / "out" / "table.csv").read_text().splitlines()[0]


def test_a_package_is_whole_and_says_what_to_do(call, home):
    code, out, err = call("new", "model", "tiny-net", "--package")

    assert (code, err) == (0, "")
    package = home / "mubench-tiny-net"
    assert {str(p.relative_to(package)) for p in package.rglob("*") if p.is_file()} == {
        "pyproject.toml",
        "README.md",
        "src/mubench_tiny_net/__init__.py",
        "tests/test_tiny_net.py",
    }
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    assert project["entry-points"] == {"mubench.models": {"tiny_net": "mubench_tiny_net"}}
    assert not re.search("@[A-Z]+@", "".join(p.read_text() for p in package.rglob("*") if p.is_file()))
    assert "  pip install -e mubench-tiny-net\n  mubench check tiny-net\n" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("suite", "mine"), "a suite is a file that mubench run takes; leave out --package"),
        (("method", "Mine"), "pyproject.toml exists already"),
        (("method", "ft"), "there is a method called 'FT' already"),
    ],
)
def test_a_package_that_cannot_be_written(call, home, words, said):
    kept = home / "mubench-mine" / "pyproject.toml"
    kept.parent.mkdir()
    kept.write_text("precious")

    code, out, err = call("new", *words, "--package")

    assert (code, out, said in err) == (2, "", True)
    assert kept.read_text() == "precious"
    assert list(kept.parent.iterdir()) == [kept]
