"""Whatever is wrong: one line that names what, where and the nearest right thing; nothing is lost."""

import subprocess
import sys

import pytest
from click.testing import CliRunner
from hard_runs import SUITE

from mubench.cli import main

FILES = {
    "good.toml": SUITE,
    "data.toml": SUITE.replace('"digits"', '"digit"'),
    "model.toml": SUITE.replace("small-cnn", "small-cn"),
    "method.toml": SUITE.replace("FT =", "FTT ="),
    "parameter.toml": SUITE.replace("FT = { epochs", "FT = { epoch"),
    "type.toml": SUITE.replace("FT = { epochs = 1", "FT = { epochs = 1.5"),
    "key.toml": SUITE.replace("batch_size", "batchsize"),
    "inner.toml": SUITE.replace("epochs = 1\nlr", "epoch = 1\nlr"),
    "value.toml": SUITE.replace('"fp32"', '"fp16"'),
    "metric.toml": SUITE + "[metrics.mai]\n",
    "option.toml": SUITE + "[metrics.mia]\nstatistic = 'entropi'\n",
    "broken.toml": SUITE + "lr = = 3\n",
    "binary.toml": b"\xff\xfe\x00",
    "void.toml": "",
    "comment.toml": "# nothing\n",
    "twice.toml": SUITE.replace("{ FT = { epochs = 1 } }", '["FT", "GA", "FT"]'),
    "rows.toml": SUITE + '[[variants]]\nname = "FT"\nbase = "FT"\n',
    "base.toml": SUITE + '[[variants]]\nname = "X"\nbase = "FTT"\n',
    "seeds.toml": SUITE.replace("[0]", "[1, 1]"),
    "profile.toml": SUITE + "[profiles.small]\nseeds = [0]\n",
    "indices.toml": SUITE.replace('"random", percent = 10', '"indices", file = "void.toml"'),
    "gone.toml": SUITE.replace('"random", percent = 10', '"indices", file = "gone.txt"'),
    "class.toml": SUITE.replace('"random", percent = 10', '"class", class = 10'),
    "scenario.toml": SUITE.replace('"random"', '"randon"'),
    "broken.py": "def (:\n",
    "raises.py": "x = 1\n\nraise ValueError('no\\nluck')\n",
    "exits.py": "raise SystemExit(0)\n",
    "empty.py": "",
    "silent.py": "x = 1\n",
    "binary.py": b"\x00\x01",
    "mine.py": "from mubench import method\n\n@method('FT')\ndef mine(model, task): 'Mine.'\n",
    "loose.py": "from mubench import method\n\n@method('Mine')\ndef mine(model): 'Mine.'\n",
    "file": "",
}
FILES |= {
    f"percent{i}.toml": SUITE.replace("percent = 10", f"percent = {value}")
    for i, value in enumerate(["0", "100", "-5", "nan", "0.01"])
}
GOOD = ("run", "--suite", "good.toml")
# The words, and what the line must hold: what is wrong, where, what would be right.
WRONG = [
    (("run", "--suite", "digits-random-5O"), "unknown suite 'digits-random-5O'", "'digits-random-50'"),
    (("run", "--suite", "godo.toml"), "suite 'godo.toml'", "no such file", "'good.toml'"),
    (("run", "--suite", "nowhere/good.toml"), "suite 'nowhere/good.toml'", "no such file"),
    (("run", "--suite", "folder"), "suite 'folder' is a folder", "its TOML file"),
    (("run", "--suite", "data.toml"), "data.toml: ", "unknown dataset 'digit'", "'digits'"),
    (("run", "--suite", "model.toml"), "model.toml: ", "unknown model 'small-cn'", "'small-cnn'"),
    (("run", "--suite", "method.toml"), "unknown method 'FTT' in method.toml", "'FT'"),
    (("run", "--suite", "parameter.toml"), "'epoch' in parameter.toml: [methods.FT]", "'epochs'"),
    (("run", "--suite", "type.toml"), "type.toml: [methods.FT]: epochs = 1.5 is not int"),
    (("run", "--suite", "key.toml"), "key.toml: unknown key 'batchsize'", "'batch_size'"),
    (("run", "--suite", "inner.toml"), "inner.toml: unknown key 'original.epoch'", "'epochs'"),
    (("run", "--suite", "value.toml"), "value.toml: precision: ", "'fp16'", "'auto', 'fp32' or 'bf16'"),
    (("run", "--suite", "metric.toml"), "unknown metric 'mai' in metric.toml", "'mia'"),
    (("run", "--suite", "option.toml"), "option.toml: [metrics]", "'entropi'", "'entropy'"),
    (("run", "--suite", "broken.toml"), "broken.toml: not valid TOML", "line 15"),
    (("run", "--suite", "binary.toml"), "binary.toml: not valid TOML"),
    (("run", "--suite", "void.toml"), "void.toml: the suite is empty", "mubench list suites"),
    (("run", "--suite", "comment.toml"), "comment.toml: the suite is empty"),
    (("run", "--suite", "percent0.toml"), "percent0.toml: forget.percent: ", "greater than 0", "got 0"),
    (("run", "--suite", "percent1.toml"), "percent1.toml: forget.percent: ", "less than 100", "got 100"),
    (("run", "--suite", "percent2.toml"), "percent2.toml: forget.percent: ", "greater than 0", "got -5"),
    (("run", "--suite", "percent3.toml"), "percent3.toml: forget.percent: ", "finite", "got nan"),
    (("run", "--suite", "percent4.toml"), "percent4.toml: the forget set is empty: 0.01 % of 900"),
    (("run", "--suite", "indices.toml"), "indices.toml: the forget set is empty", "void.toml"),
    (("run", "--suite", "gone.toml"), "gone.toml: forget.file gone.txt: cannot be read"),
    (("run", "--suite", "class.toml"), "class.toml: forget.class = 10 is out of range", "0..9"),
    (("run", "--suite", "scenario.toml"), "scenario.toml: ", "'randon'", "'random', 'class', 'indices'"),
    (("run", "--suite", "twice.toml"), "twice.toml: methods: a method is named twice"),
    (("run", "--suite", "rows.toml"), "rows.toml: two rows are called 'FT'"),
    (("run", "--suite", "base.toml"), "unknown method 'FTT' in base.toml: variant 'X'", "'FT'"),
    (("run", "--suite", "seeds.toml"), "seeds.toml: seeds: a seed is named twice"),
    (("run", "--suite", "profile.toml", "--profile", "smal"), "profile.toml: ", "'smal'", "'small'"),
    ((*GOOD, "--methods", "FT,Slaun"), "unknown method 'Slaun' in --methods", "'SalUn'"),
    ((*GOOD, "--methods", "FT,FT"), "--methods names 'FT' twice"),
    ((*GOOD, "--methods", ","), "--methods names no method"),
    ((*GOOD, "--seeds", "0"), "--first-seeds 0", "has 1 seeds"),
    ((*GOOD, "--seeds", "-3"), "--first-seeds -3", "has 1 seeds"),
    ((*GOOD, "--seeds", "two"), "'--seeds'", "'two' is not a valid integer"),
    ((*GOOD, "--device", "gpu"), "unknown device 'gpu'", "auto, cpu and cuda"),
    ((*GOOD, "--set", "sedes=[1]"), "good.toml: unknown key 'sedes'", "'seeds'"),
    ((*GOOD, "--set", "seeds"), "--set 'seeds'", "key=value"),
    ((*GOOD, "--jobs", "-1"), "'--jobs'", "-1"),
    ((*GOOD, "--sede", "1"), "No such option", "--sede", "--seeds"),
    ((*GOOD, "--plugin", "mime.py"), "plugin mime.py: there is no such file", "'mine.py'"),
    ((*GOOD, "--plugin", "folder"), "plugin folder is a folder", "Python file"),
    ((*GOOD, "--plugin", "broken.py"), "plugin broken.py cannot be loaded: SyntaxError", "line 1"),
    ((*GOOD, "--plugin", "binary.py"), "plugin binary.py cannot be loaded: SyntaxError"),
    ((*GOOD, "--plugin", "raises.py"), "plugin raises.py cannot be loaded: ValueError: no (line 3)"),
    ((*GOOD, "--plugin", "exits.py"), "plugin exits.py cannot be loaded: SystemExit: 0 (line 1)"),
    ((*GOOD, "--plugin", "empty.py"), "plugin empty.py declares no method", "@method(name, ...)"),
    ((*GOOD, "--plugin", "silent.py"), "plugin silent.py declares no method", "@method(name, ...)"),
    ((*GOOD, "--plugin", "loose.py"), "plugin loose.py cannot be loaded: TypeError", "(model, task, *, ...)"),
    ((*GOOD, "--plugin", "mine.py"), "two methods are called 'FT'", "ft.py and ", "mine.py"),
    ((*GOOD, "--out", "file/out"), "the output folder file/out cannot be written"),
    ((*GOOD, "--out", "file"), "'--out'", "'file' is a file"),
    ((*GOOD, "--store", "file/store"), "the store file/store cannot be written"),
    ((*GOOD, "--store", "/proc/store"), "the store /proc/store cannot be written"),
    (("list", "metod"), "unknown list 'metod'", "'methods'"),
    (("list", "methods", "--plugin", "gone.py"), "plugin gone.py: there is no such file"),
    (("list",), "Missing argument"),
    (("show", "metod", "FT"), "unknown kind 'metod'", "'method'"),
    (("show", "method", "Salun-2"), "unknown method 'Salun-2'", "'SalUn'"),
    (("show", "suite", "digits"), "unknown suite 'digits'", "'digits-class-3'"),
    (("show", "dataset", "digit"), "unknown dataset 'digit'", "'digits'"),
    (("show", "metric", "mai"), "unknown metric 'mai'", "'mia'"),
    (("render", "digits-class"), "unknown suite 'digits-class'", "'digits-class-3'"),
    (("render", "nowhere/at/all"), "nowhere/at/all: there is no such folder or suite file"),
    (("render", "folder"), "folder/manifest.json: cannot be read"),
    (("rum",), "No such command 'rum'", "'run'"),
]


@pytest.fixture
def place(undisturbed, tmp_path, monkeypatch):
    """A folder with the wrong files, and a store that must stay as it is."""
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (tmp_path / "folder").mkdir()
    monkeypatch.setenv("MUBENCH_STORE", str(undisturbed.store))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _state(store):
    files = [p for part in ("records", "failures", "damaged") for p in (store / part).rglob("*")]
    return {str(p): p.stat().st_mtime_ns for p in files}


@pytest.mark.parametrize(("words", "fragments"), [(w, f) for w, *f in WRONG], ids=lambda v: "-".join(v))
def test_one_line_says_what_is_wrong_and_nothing_is_lost(undisturbed, place, words, fragments):
    before = _state(undisturbed.store)

    found = CliRunner().invoke(main, list(words), catch_exceptions=False)

    assert (found.exit_code, found.stdout) == (2, "")
    (line,) = found.stderr.splitlines()
    assert line.startswith("Error: ")
    for fragment in fragments:
        assert fragment in line
    assert _state(undisturbed.store) == before
    assert not (place / "results").exists() or not list((place / "results").rglob("*"))


@pytest.mark.parametrize("words", [("run", "--suite", "key.toml"), (*GOOD, "--plugin", "raises.py")])
def test_a_process_of_its_own_says_the_same(place, words):
    said = CliRunner().invoke(main, list(words)).stderr

    done = subprocess.run(
        [sys.executable, "-P", "-m", "mubench", *words], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
