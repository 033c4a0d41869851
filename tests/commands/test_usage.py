"""Whatever is wrong: one line that names what, where and the nearest right thing; nothing is lost."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from mubench.cli import main
from mubench.storage.store import Store

KEY = "ab" * 32
LONG = "x" * 10_000
VARIANT = '[[variants]]\nname = {}\nbase = "{}"\nparameters = {{ {} }}\n'
SCENARIOS = "forget needs scenario = one of 'random', 'class', 'indices'"


def forget(text, *fragments):
    return f"forget = {{ {text} }}", *fragments


# A line in place of the suite's own, and what the error must hold besides the suite's name.
LINES = [
    # keys and types
    ("sedes = [1]", "unknown key 'sedes'. Did you mean 'seeds'?"),
    ("profile = 1", "unknown key 'profile'. Did you mean 'profiles'?"),
    (f"{LONG} = 1", "unknown key 'xxx", "xxx'. "),
    ("seeds = 3", "seeds: ", "list", "(got 3)"),
    ("seeds = []", "seeds: ", "at least 1"),
    ("seeds = [1, 2, 1]", "seeds: a seed is named twice"),
    ('seeds = ["0"]', "seeds.0: ", "integer"),
    ("seeds = [0.0]", "seeds.0: ", "integer"),
    ("seeds = [-1]", "seeds.0: ", "greater than or equal to 0", "got -1"),
    (f"seeds = [{2**63}]", "seeds.0: the number is beyond 64 bits"),
    ("floor = -1", "floor: ", "greater than or equal to 0"),
    ("floor = 0.5", "floor: ", "integer"),
    ('floor = "two"', "floor: ", "integer"),
    ("title = 3", "title: ", "string"),
    ('title = ""', "title: a name is not blank"),
    ('title = "  "', "title: a name is not blank"),
    ('title = "a\\u001b[31mb"', r"title: 'a\x1b[31mb' holds a control character"),
    ('title = "a\\u2028b"', "title: ", "holds a control character"),
    ('notes = ["fine", "a\\nb"]', r"notes.1: 'a\nb' holds a control character"),
    ('"a\\u0007b" = 1', r"the key 'a\x07b' holds a control character"),
    ('split = "legacy"', "split: ", "'clean' or 'salun-legacy'", "got 'legacy'"),
    ('precision = "fp16"', "precision: ", "'auto', 'fp32' or 'bf16'", "got 'fp16'"),
    ("val_percent = 100", "val_percent: ", "less than 100"),
    ("margin = nan", "margin: "),
    ('headline = "svc"', "headline 'svc' is no attack with an Avg. Gap; there are mia, mia_svc"),
    ('headline = "ua"', "headline 'ua' is no attack"),
    ("headline = 3", "headline: ", "string"),
    # amounts that no machine has
    ('batch_size = "32"', "batch_size: ", "integer", "got '32'"),
    ("batch_size = 0", "batch_size: ", "greater than or equal to 1"),
    ("batch_size = 1e30", "batch_size: ", "integer"),
    ("batch_size = 10_000_000", "batch_size: ", "less than or equal to 1000000"),
    ("threads = 0", "threads: ", "greater than or equal to 1"),
    ("threads = 1_000_000_000", "threads: ", "less than or equal to 1024"),
    ("timeout = 0", "timeout: ", "greater than 0"),
    ("timeout = inf", "timeout: ", "finite"),
    ("timeout = 1e300", "timeout: ", "less than or equal to 100000000"),
    # what is named has to exist
    ('dataset = "blob"', "unknown dataset 'blob'. Did you mean 'blobs'?"),
    ("data = { size = 3 }", "dataset 'blobs': unknown option 'size'"),
    ('model = "small-cn"', "unknown model 'small-cn'. Did you mean 'small-cnn'?"),
    ('model = "?"', "unknown model '?'. Known: alexnet, ", " more: mubench list models."),
    (f'model = "{LONG}"', "unknown model 'xxx", "..."),
    ('settings = "cifar10-random-11"', "unknown settings ", "Did you mean 'cifar10-random-10'?"),
    ('methods = ["FT", "FT"]', "methods: a method is named twice"),
    ("methods = { FT = 3 }", "methods.FT: "),
    ('methods = "FT"', "methods: "),
    ('methods = ["FTT"]', "unknown method 'FTT' in ", "Did you mean 'FT'?"),
    ("methods = { FT = { lrr = 1 } }", "unknown parameter 'lrr' in ", "[methods.FT]. Did you mean 'lr'?"),
    ("methods = { FT = { epochs = 1.5 } }", "[methods.FT]: epochs = 1.5 is not int"),
    (f"methods = {{ FT = {{ lr = {'9' * 400} }} }}", "methods.FT.lr: the number is beyond 64 bits"),
    ("metrics = { mia = { pol = true } }", "[metrics]: ", "pol"),
    ("metrics = { mia = { statistic = 'entropi' } }", "[metrics]", "'entropi'", "'entropy'"),
    ("metrics = { maa = {} }", "unknown metric 'maa' in ", "[metrics]. Did you mean 'mia'?"),
    # what is forgotten
    *(forget(f'scenario = "random", percent = {p}', "forget.percent: ", f"got {p}") for p in (0, 100, -5)),
    *(
        forget(f'scenario = "random", percent = {p}', "forget.percent: ")
        for p in ("nan", "inf", "true", '"9"')
    ),
    forget('scenario = "random", percent = 0.1', "the forget set is empty: 0.1 % of 108"),
    forget('scenario = "rnd", percent = 10', SCENARIOS, "got "),
    forget("percent = 10", SCENARIOS),
    forget('scenario = "random"', "the key 'forget.percent' is missing"),
    forget('scenario = "random", class = 1, percent = 9', "unknown key 'forget.class'"),
    forget('scenario = "class", clas = 1, class = 1', "unknown key 'forget.clas'. Did you mean 'class'?"),
    forget('scenario = "class", class = -1', "forget.class: a class is its number, from 0 on", "got -1"),
    forget('scenario = "class", class = ""', "forget.class: a class is its number", 'or "all"', "got ''"),
    forget('scenario = "class", class = true', "forget.class: a class is its number", "got True"),
    forget('scenario = "class", class = 3.0', "forget.class: a class is its number", "got 3.0"),
    forget('scenario = "class", class = 3', "forget.class = 3 is out of range: there are classes 0..2"),
    forget('scenario = "class", class = "al"', "unknown class 'al' in forget.class. Did you mean 'all'?"),
    forget('scenario = "class", class = "?"', "unknown class '?' in forget.class. Known: a, all, b, c."),
    forget('scenario = "indices", file = 3', "forget.file: ", "string"),
    forget('scenario = "indices", file = "gone"', "forget.file gone: cannot be read: No such file"),
    forget('scenario = "indices", file = "void.toml"', "the forget set is empty", "void.toml"),
    forget('scenario = "indices", file = "/dev/zero"', "/dev/zero: cannot be read: not an ordinary file"),
    forget('scenario = "indices", file = "pipe"', "forget.file pipe: cannot be read: not an ordinary file"),
    forget(
        'scenario = "indices", file = "huge"', "forget.file huge: cannot be read: larger than 100,000,000"
    ),
    forget('scenario = "indices", file = "digits"', "forget.file digits: one dataset index a line is needed"),
    forget(f'scenario = "indices", file = "{LONG}"', "forget.file xxx", "File name too long"),
    # what Python cannot read
    ("data = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
    ("data = " + "{ a = " * 50 + "1" + " }" * 50, "nested more than 16 levels deep"),
    ("data = " + "{ a = " * 3000 + "1" + " }" * 3000, "nested too deeply"),
    (f"batch_size = {'9' * 5000}", "a number has too many digits"),
]
# Tables at the end, and what the error must hold.
TABLES = [
    ("[original]\nepoch = 3", "unknown key 'original.epoch'. Did you mean 'epochs'?"),
    ("[original]\ndecay = inf", "original.decay: ", "finite"),
    ("[original]\nepochs = 1e9", "original.epochs: ", "integer"),
    ("[original]\nepochs = 1_000_000_000", "original.epochs: ", "less than or equal to"),
    ("[original]\nmilestones = [-1]", "original.milestones.0: ", "greater than or equal to 1"),
    ("[original]\nmilestones = [1_000_000_000]", "original.milestones.0: ", "less than or equal to"),
    (VARIANT.format('"Original"', "FT", ""), "a row is called 'Original', the name of a row that joins"),
    (VARIANT.format('"FT"', "FT", "") + VARIANT.format('"FT"', "FT", ""), "two rows are called 'FT'"),
    (VARIANT.format('" "', "FT", ""), "variants.0.name: a name is not blank"),
    (VARIANT.format('"FT "', "FT", ""), "variants.0.name: a name ", "ends with a blank"),
    (VARIANT.format('"a\\nb"', "FT", ""), r"variants.0.name: 'a\nb' holds a control character"),
    (VARIANT.format('"X"', "FTT", ""), "unknown method 'FTT' in ", "variant 'X'. Did you mean 'FT'?"),
    (VARIANT.format('"X"', "FT", "lrr = 1"), "'lrr' in ", "variant 'X'"),
    (VARIANT.format('"X"', "FT", "lr = true"), "variant 'X': lr = True is not float"),
    ("[profiles]\ny = 3", "profiles must be tables, as [profiles.small]"),
]
# Whole files, and what the error must hold.
CONTENTS = [
    (b"", "the suite is empty; see `mubench list suites`"),
    (b"# only a comment\n", "the suite is empty"),
    (b"title = \n", "not valid TOML", "line 1"),
    (b'title = "a"\ntitle = "b"\n', "not valid TOML"),
    (b"\xff\xfe\x00", "not valid TOML"),
]
GOOD = ("run", "--suite", "tiny.toml")
# The words, and what the line must hold: what is wrong, where, what would be right.
WORDS = [
    (("run", "--suite", "digits-random-5O"), "unknown suite 'digits-random-5O'", "'digits-random-50'"),
    (("run", "--suite", "tyni.toml"), "suite 'tyni.toml'", "no such file", "'tiny.toml'"),
    (("run", "--suite", "nowhere/tiny.toml"), "suite 'nowhere/tiny.toml'", "no such file"),
    (("run", "--suite", "folder"), "suite 'folder' is a folder", "its TOML file"),
    (("run", "--suite", LONG), "suite 'xxx", "File name too long"),
    ((*GOOD, "--profile", "smal"), "tiny.toml: unknown profile 'smal'. Did you mean 'small'?"),
    ((*GOOD, "--methods", "FT,Slaun"), "unknown method 'Slaun' in --methods", "'SalUn'"),
    ((*GOOD, "--methods", "FT,FT"), "--methods names 'FT' twice"),
    ((*GOOD, "--methods", " , "), "--methods names no method"),
    ((*GOOD, "--first-seeds", "0"), "--first-seeds 0", "has 1 seeds"),
    ((*GOOD, "--seeds", "2"), "--first-seeds 2", "has 1 seeds"),
    ((*GOOD, "--seeds", "two"), "'--seeds'", "'two' is not a valid integer"),
    ((*GOOD, "--device", "gpu"), "unknown device 'gpu'; there are auto, cpu and cuda"),
    ((*GOOD, "--precision", "fp64"), "precision: "),
    ((*GOOD, "--set", "sedes=[1]"), "tiny.toml: unknown key 'sedes'", "'seeds'"),
    ((*GOOD, "--set", "seeds"), "--set 'seeds'", "write key=value"),
    ((*GOOD, "--set", "forget.percent=100"), "forget.percent: Input should be less than 100"),
    ((*GOOD, "--set", f"batch_size={'9' * 5000}"), "--set 'batch_size=999", "too many digits"),
    ((*GOOD, "--set", "data=" + "[" * 5000), "--set 'data=[[", "nested too deeply"),
    ((*GOOD, "--set", "a" + ".a" * 99 + "=1"), "nested more than 16 levels deep"),
    ((*GOOD, "--set", "title=a\x1bb"), r"title: 'a\x1bb' holds a control character"),
    ((*GOOD, "--jobs", "-1"), "'--jobs'", "-1"),
    ((*GOOD, "--sede", "1"), "No such option", "--sede", "--seeds"),
    ((*GOOD, "--plugin", "mime.py"), "plugin mime.py: there is no such file", "'mine.py'"),
    ((*GOOD, "--plugin", "folder"), "plugin folder is a folder", "Python file"),
    ((*GOOD, "--plugin", "broken.py"), "plugin broken.py cannot be loaded: SyntaxError", "line 1"),
    ((*GOOD, "--plugin", "binary.py"), "plugin binary.py cannot be loaded: SyntaxError"),
    ((*GOOD, "--plugin", "raises.py"), "plugin raises.py cannot be loaded: ValueError: no (line 3)"),
    ((*GOOD, "--plugin", "exits.py"), "plugin exits.py cannot be loaded: SystemExit: 0 (line 1)"),
    ((*GOOD, "--plugin", "silent.py"), "plugin silent.py declares nothing", "@method(name, ...)"),
    ((*GOOD, "--plugin", "loose.py"), "plugin loose.py cannot be loaded: TypeError", "(model, task, *, ...)"),
    ((*GOOD, "--plugin", "mine.py"), "two methods are called 'FT'", "ft.py and ", "mine.py"),
    ((*GOOD, "--out", "file/out"), "the output folder file/out cannot be written"),
    ((*GOOD, "--out", "file"), "'--out'", "'file' is a file"),
    ((*GOOD, "--out", ""), "'--out'", "the path is empty"),
    ((*GOOD, "--store", "file/store"), "the store ", "file/store cannot be written"),
    ((*GOOD, "--store", "/proc/store"), "the store /proc/store cannot be written"),
    ((*GOOD, "--store", ""), "'--store'", "the path is empty"),
    ((*GOOD, "--store", "~nobody-at-all/store"), "the store ~nobody-at-all/store: "),
    (("list", "metod"), "unknown list 'metod'", "'methods'"),
    (("list", "methods", "--plugin", "gone.py"), "plugin gone.py: there is no such file"),
    (("list",), "Missing argument"),
    (("show", "metod", "FT"), "unknown kind 'metod'", "'method'"),
    (("show", "method", "SalUm"), "unknown method 'SalUm'. Did you mean 'SalUn'?"),
    (("show", "suite", "digits-random-11"), "unknown suite 'digits-random-11'", "'digits-random-10'"),
    (("show", "dataset", "digit"), "unknown dataset 'digit'. Did you mean 'digits'?"),
    (("show", "metric", "mai"), "unknown metric 'mai'", "'mia'"),
    (("render", "digits-class"), "unknown suite 'digits-class'", "'digits-class-3'"),
    (("render", "nowhere/at/all"), "nowhere/at/all: there is no such folder or suite file"),
    (("render", "folder"), "folder/manifest.json: cannot be read"),
    (("rum",), "No such command 'rum'", "'run'"),
    (("--frob",), "No such option", "--frob"),
    (("speed", "--seconds", "nan"), "'--seconds'", "nan is not a finite number"),
    ((*GOOD, "--publish", "--out", "x"), "--publish writes to results/published; leave out --out"),
]
FILES = {
    "broken.py": b"def (:\n",
    "raises.py": b"x = 1\n\nraise ValueError('no\\nluck')\n",
    "exits.py": b"raise SystemExit(0)\n",
    "silent.py": b"x = 1\n",
    "binary.py": b"\x00\x01",
    "mine.py": b"from mubench import method\n\n@method('FT')\ndef mine(model, task): 'Mine.'\n",
    "loose.py": b"from mubench import method\n\n@method('Mine')\ndef mine(model): 'Mine.'\n",
    "file": b"",
    "void.toml": b"",
    "digits": b"9" * 30,
}


@pytest.fixture
def refused(home, made_up, suite_file):
    """`refused(*words)`: the one line of a request that is wrong; results and records stay as they are."""
    suite_file('methods = ["FT"]', tables="[profiles.small]\nseeds = [0]\n")
    for name, content in FILES.items():
        (home / name).write_bytes(content)
    (home / "folder").mkdir()
    os.mkfifo(home / "pipe")
    with (home / "huge").open("wb") as file:
        file.truncate(10**12)
    store = Store(home / "store")
    store.put(KEY, {"forgotten": []}, {})

    def run(*words):
        found = CliRunner().invoke(main, [str(w) for w in words], catch_exceptions=False)
        assert (found.exit_code, found.stdout) == (2, "")
        (line,) = found.stderr.splitlines()
        assert line.startswith("Error: ")
        assert len(line) < 500
        assert line.isprintable()
        assert [p.name for p in store.root.glob("records/*/*")] == [KEY]
        assert not list(store.root.glob("failures/*"))
        assert not list((home / "results").rglob("*"))
        return line

    return run


@pytest.mark.parametrize(("line", "fragments"), [(c, f) for c, *f in LINES], ids=lambda v: str(v)[:60])
def test_a_line_of_the_suite_is_wrong(refused, suite_file, line, fragments):
    said = refused("run", "--suite", suite_file(line, name="wrong"))

    assert "wrong.toml" in said or "settings" in line
    for fragment in fragments:
        assert fragment in said


@pytest.mark.parametrize(("tables", "fragments"), [(c, f) for c, *f in TABLES], ids=lambda v: str(v)[:60])
def test_a_table_of_the_suite_is_wrong(refused, suite_file, tables, fragments):
    said = refused("run", "--suite", suite_file(name="wrong", tables=tables))

    for fragment in ("wrong.toml", *fragments):
        assert fragment in said


@pytest.mark.parametrize(("content", "fragments"), [(c, f) for c, *f in CONTENTS], ids=lambda v: str(v)[:60])
def test_the_file_is_no_suite(refused, home, content, fragments):
    (home / "wrong.toml").write_bytes(content)
    said = refused("run", "--suite", "wrong.toml")

    for fragment in ("wrong.toml: ", *fragments):
        assert fragment in said


@pytest.mark.parametrize("key", ["title", "dataset", "model", "seeds", "forget", "methods"])
def test_a_key_is_missing(refused, suite_file, key):
    said = refused("run", "--suite", suite_file(drop=[key], name="wrong"))

    assert said.endswith(f"wrong.toml: the key '{key}' is missing")


@pytest.mark.parametrize(("words", "fragments"), [(w, f) for w, *f in WORDS], ids=lambda v: " ".join(v)[:60])
def test_the_words_are_wrong(refused, words, fragments):
    said = refused(*words)

    for fragment in fragments:
        assert fragment in said


def test_a_process_of_its_own_says_the_same(refused):
    words = (*GOOD, "--set", "sedes=[1]")
    said = refused(*words)

    done = subprocess.run(
        [sys.executable, "-P", "-m", "mubench", *words], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (2, "", said + "\n")
