"""What a suite may say, and how it is refused when it says something else."""

import re
import tomllib

import pytest

from mubench.discovery.find import Catalogue
from mubench.discovery.suites import suite_files
from mubench.errors import UsageError
from mubench.planning import suite

PROFILES = """
    [profiles.small]
    model = "other"
    original = { epochs = 7 }
    forget = { scenario = "class", class = 2 }
    methods = { FT = { lr = 0.5 } }
    [profiles.bare]
    forget = { percent = 50.0 }
    methods = ["GA"]
"""


def test_what_is_said_and_what_is_not(suite_file):
    loaded = suite.load(suite_file())

    assert (loaded.title, loaded.seeds, loaded.batch_size) == ("tiny", [0], 32)
    assert (loaded.forget.scenario, loaded.forget.percent) == ("random", 20.0)
    assert (loaded.original.epochs, loaded.original.momentum, loaded.original.decay) == (1, 0.9, 5e-4)
    assert (loaded.val_percent, loaded.threads, loaded.timeout) == (10.0, 1, None)
    assert loaded.methods == {"Retrain": {}}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sedes = [1]", r"unknown key 'sedes'\. Did you mean 'seeds'"),
        ("profile = 1", r"unknown key 'profile'\. Did you mean 'profiles'"),
        ("seeds = 3", r"seeds: .*list.*\(got 3\)"),
        ("seeds = []", "seeds: .*at least 1"),
        ("seeds = [1, 2, 1]", "seed is named twice"),
        ('seeds = ["0"]', r"seeds\.0: .*integer"),
        ("seeds = [0.0]", r"seeds\.0: .*integer"),
        ('batch_size = "32"', "batch_size: .*integer.*got '32'"),
        ("batch_size = 0", "batch_size: .*greater than or equal to 1"),
        ("floor = 1", "floor: .*boolean"),
        ("title = 3", "title: .*string"),
        ('title = ""', "title: .*at least 1 character"),
        ("threads = 0", "threads: "),
        ('split = "legacy"', "split: .*'clean' or 'salun-legacy'.*got 'legacy'"),
        ('precision = "fp16"', "precision: .*'auto'.*'fp32'.*'bf16'"),
        ("timeout = 0", "timeout: .*greater than 0"),
        ("timeout = inf", "timeout: .*finite"),
        ("val_percent = 100", "val_percent: .*less than 100"),
        ("margin = nan", "margin: "),
        ('methods = ["FT", "FT"]', "a method is named twice"),
        ("methods = { FT = 3 }", r"methods\.FT: "),
        ('methods = "FT"', "methods: "),
        ('settings = "cifar10-random-11"', "unknown settings .*Did you mean 'cifar10-random-10'"),
    ],
)
def test_wrong_keys_and_values(suite_file, line, message):
    path = suite_file(line)

    with pytest.raises(UsageError, match=message) as caught:
        suite.load(path)
    assert str(caught.value).startswith(f"{path}: ") or "settings" in line
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("percent", ["0", "100", "-5", "nan", "inf", '"10"', "true"])
def test_impossible_share_to_forget(suite_file, percent):
    path = suite_file(f'forget = {{ scenario = "random", percent = {percent} }}')

    with pytest.raises(UsageError, match=r"forget\.percent: "):
        suite.load(path)


@pytest.mark.parametrize(
    ("forget", "message"),
    [
        ('scenario = "rnd", percent = 10', "scenario = one of 'random', 'class', 'indices'"),
        ("percent = 10", "scenario = one of 'random', 'class', 'indices'"),
        ('scenario = "random"', r"the key 'forget\.percent' is missing"),
        ('scenario = "class", class = -1', r"forget\.class: .*its number, from 0 on, or \"all\".*got -1"),
        ('scenario = "class", class = "al"', r"forget\.class: .*or \"all\" for every class.*got 'al'"),
        ('scenario = "class", class = "3"', r"forget\.class: .*its number.*got '3'"),
        ('scenario = "class", class = true', r"forget\.class: .*its number.*got True"),
        ('scenario = "class", class = 3.0', r"forget\.class: .*its number.*got 3\.0"),
        ('scenario = "random", percent = "all"', r"forget\.percent: "),
        ('scenario = "class", clas = 1, class = 1', r"unknown key 'forget\.clas'\. Did you mean 'class'"),
        ('scenario = "random", class = 1, percent = 9', r"unknown key 'forget\.class'"),
        ('scenario = "indices", file = 3', r"forget\.file: .*string"),
    ],
)
def test_impossible_forget_sets(suite_file, forget, message):
    with pytest.raises(UsageError, match=message):
        suite.load(suite_file(f"forget = {{ {forget} }}"))


def test_unknown_key_in_a_table_names_the_nearest_of_that_table(suite_file):
    path = suite_file(tables="[original]\nepoch = 3")

    with pytest.raises(UsageError, match=r"unknown key 'original\.epoch'\. Did you mean 'epochs'"):
        suite.load(path)


@pytest.mark.parametrize("key", ["title", "dataset", "model", "seeds", "forget", "methods"])
def test_missing_key(suite_file, key):
    with pytest.raises(UsageError, match=f"the key '{key}' is missing"):
        suite.load(suite_file(drop=[key]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the suite is empty"),
        (b"# only a comment\n", "the suite is empty"),
        (b"title = \n", "not valid TOML.*line 1"),
        (b'title = "a"\ntitle = "b"\n', "not valid TOML"),
        (b'title = "\xff\xfe"\n', "not valid TOML"),
    ],
)
def test_broken_files(tmp_path, content, message):
    path = tmp_path / "broken.toml"
    path.write_bytes(content)

    with pytest.raises(UsageError, match=message) as caught:
        suite.load(path)
    assert str(path) in str(caught.value)


def test_a_suite_is_found_by_name_or_file(suite_file):
    path = suite_file()

    assert suite.find(str(path)) == path
    assert suite.find("digits-random-10") == suite_files()["digits-random-10"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (".", "is a folder"),
        ("digits-random-1O", "unknown suite 'digits-random-1O'. Did you mean 'digits-random-10'"),
        ("nowhere/at.toml", "there is no such file"),
        ("absent.toml", "there is no such file"),
    ],
)
def test_suites_that_are_none(home, name, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        suite.find(name)


def test_a_profile_is_merged_table_by_table(suite_file):
    path = suite_file('methods = ["Retrain", "FT"]', tables=PROFILES)

    plain, small = suite.load(path), suite.load(path, "small")

    assert plain.model == "small-cnn"
    assert (small.model, small.original.epochs, small.original.lr) == ("other", 7, 0.05)
    assert (small.forget.scenario, small.forget.target) == ("class", 2)
    assert small.methods == {"Retrain": {}, "FT": {"lr": 0.5}}


def test_a_profile_of_the_same_scenario_keeps_the_rest_and_lists_are_replaced(suite_file):
    loaded = suite.load(suite_file(tables=PROFILES), "bare")

    assert (loaded.forget.scenario, loaded.forget.percent) == ("random", 50.0)
    assert loaded.methods == {"GA": {}}


def test_a_profile_is_checked_as_strictly(suite_file):
    path = suite_file(tables="[profiles.x]\nsedes = [1]\n[profiles]\ny = 3\n")
    good = suite_file(tables="[profiles.x]\nsedes = [1]\n", name="good")

    with pytest.raises(UsageError, match=r"profiles must be tables"):
        suite.load(path)
    assert suite.load(good).seeds == [0]
    with pytest.raises(UsageError, match=r"unknown key 'sedes'\. Did you mean 'seeds'"):
        suite.load(good, "x")
    with pytest.raises(UsageError, match=r"unknown profile 'X'\. Did you mean 'x'"):
        suite.load(good, "X")


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("seeds=[1, 2]", {"seeds": [1, 2]}),
        ("methods.FT.lr=0.02", {"methods": {"FT": {"lr": 0.02}}}),
        ("model = resnet18", {"model": "resnet18"}),
        ('model="a=b"', {"model": "a=b"}),
        ("floor=true", {"floor": True}),
        ("forget={scenario='class', class=3}", {"forget": {"scenario": "class", "class": 3}}),
        ("methods.l1-sparse.gamma=1e-3", {"methods": {"l1-sparse": {"gamma": 1e-3}}}),
    ],
)
def test_overrides_are_toml_or_plain_strings(text, table):
    assert suite.parse_set(text) == table


@pytest.mark.parametrize("text", ["seeds", "=3", "a..b=1", ".a=1", ""])
def test_overrides_that_are_none(text):
    with pytest.raises(UsageError, match="write key=value"):
        suite.parse_set(text)


def test_overrides_come_after_the_profile_and_are_checked(suite_file):
    path = suite_file('methods = ["FT"]', tables=PROFILES)
    change = [suite.parse_set("methods.FT.lr=0.9"), suite.parse_set("forget.percent=30")]

    loaded = suite.load(path, "small", change[:1])
    assert loaded.methods["FT"] == {"lr": 0.9}
    assert suite.load(path, None, change).forget.percent == 30.0
    with pytest.raises(UsageError, match=r"unknown key 'forget\.percent'"):
        suite.load(path, "small", change)


def test_variants(suite_file):
    variant = '[[variants]]\nname = "FT fast"\nbase = "FT"\nparameters = { lr = 0.1 }\n'

    (found,) = suite.load(suite_file('methods = ["FT"]', tables=variant)).variants

    assert (found.name, found.base, found.parameters) == ("FT fast", "FT", {"lr": 0.1})
    for name in ('"FT"', '"FT fast"'):
        twin = variant.replace('"FT fast"', name)
        with pytest.raises(UsageError, match=f"two rows are called '{name[1:-1]}'"):
            suite.load(suite_file('methods = ["FT"]', tables=variant + twin))


def test_published_settings_lie_under_the_suites_own(suite_file):
    path = suite_file('settings = "cifar10-random-10"\nmethods = { SalUn = { rho = 0.3 }, Retrain = {} }')

    loaded = suite.load(path)

    assert loaded.methods == {"SalUn": {"epochs": 10, "lr": 0.013, "rho": 0.3}, "Retrain": {}}


def _shipped():
    for name, path in suite_files().items():
        yield name, None
        for profile in tomllib.loads(path.read_text(encoding="utf-8")).get("profiles", {}):
            yield name, profile


@pytest.mark.parametrize(("name", "profile"), list(_shipped()))
def test_shipped_suites_load_and_their_parameters_bind(name, profile):
    loaded, known = suite.load(suite.find(name), profile), Catalogue()

    for method, given in loaded.methods.items():
        assert given.items() <= known.methods.find(method).bind(given, name).items()
    for variant in loaded.variants:
        assert (
            variant.parameters.items()
            <= known.methods.find(variant.base).bind(variant.parameters, name).items()
        )


def test_there_are_shipped_suites():
    assert {
        "digits-random-10",
        "digits-random-50",
        "digits-class-3",
        "cifar10-class",
    } <= suite_files().keys()
