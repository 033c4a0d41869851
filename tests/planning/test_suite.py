"""What a suite may say, and how it is refused when it says something else."""

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


def test_a_suite_is_found_by_name_or_file(suite_file):
    path = suite_file()

    assert suite.find(str(path)) == path
    assert suite.find("digits-random-10") == suite_files()["digits-random-10"]


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
    path = suite_file(tables="[profiles.x]\nsedes = [1]\n")

    assert suite.load(path).seeds == [0]
    with pytest.raises(UsageError, match=r"unknown key 'sedes'\. Did you mean 'seeds'"):
        suite.load(path, "x")


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
