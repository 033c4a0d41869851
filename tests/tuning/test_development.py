"""Trials become rows on development forget sets; what cannot be tuned is refused."""

import pytest

from mubench.discovery.find import Catalogue
from mubench.errors import UsageError
from mubench.tuning.development import Trial, development, tunable, unpinned


@pytest.fixture
def suite(bench):
    """The tiny suite with three methods."""
    return bench('methods = ["FT", "SalUn", "CL"]', dry=True).suite


def test_the_suites_methods_are_tuned_unless_some_are_named(suite):
    catalogue = Catalogue()
    able, rest = tunable(suite, catalogue, [], [])

    assert [spec.name for spec in able] == ["FT", "SalUn", "CL"]
    assert rest == []
    assert [spec.name for spec in tunable(suite, catalogue, ["GA", "FT"], [])[0]] == ["GA", "FT"]


def test_a_plugin_joins_and_one_without_a_search_space_is_named(suite, plugin_file):
    catalogue = Catalogue([plugin_file('@method("A")\ndef a(model, task): pass\n')])

    able, rest = tunable(suite, catalogue, [], catalogue.given)

    assert ([spec.name for spec in able], rest) == (["FT", "SalUn", "CL"], ["A"])


@pytest.mark.parametrize("name", ["A", "B"])
def test_a_named_method_that_cannot_be_tuned_is_refused(suite, plugin_file, name):
    catalogue = Catalogue(
        [
            plugin_file("""
            @method("A")
            def a(model, task): pass

            @method("B", scenarios=["class"], search={"lr": log_uniform(0.1, 1.0)})
            def b(model, task, *, lr: float = 0.1): pass
            """)
        ]
    )

    with pytest.raises(UsageError, match=f"method '{name}' declares no search space for random forgetting; "):
        tunable(suite, catalogue, ["FT", name], [])


def test_a_suite_without_a_method_to_tune_is_refused(bench):
    with pytest.raises(UsageError, match="the methods declare no search space for random forgetting"):
        tunable(bench(dry=True).suite, Catalogue(), [], [])


def test_what_has_a_value_is_not_searched(suite):
    able, _ = tunable(suite, Catalogue(), [], [])

    ft, salun, cl = unpinned(able, {"SalUn": {"rho": 0.5, "epochs": 1}})

    assert list(salun.search) == ["lr"]
    assert [ft, cl] == [able[0], able[2]]


def test_a_method_with_nothing_left_to_search_is_refused(suite):
    able, _ = tunable(suite, Catalogue(), ["FT"], [])

    with pytest.raises(UsageError, match="--set gives all that is searched of method 'FT' a value"):
        unpinned(able, {"FT": {"lr": 0.1}})


def test_trials_run_on_development_seeds_beside_the_reference(suite):
    trials = [Trial("FT #0", "FT", {"lr": 0.1}), Trial("FT #1", "FT", {"lr": 0.2})]
    catalogue = Catalogue()

    dev = development(suite, catalogue, 3, trials)

    assert dev.seeds == [1000, 1001, 1002]
    assert dev.floor == suite.floor
    assert dev.methods == {}
    assert [(v.name, v.base, v.parameters) for v in dev.variants] == [
        ("FT #0", "FT", {"lr": 0.1}),
        ("FT #1", "FT", {"lr": 0.2}),
    ]
    assert development(suite, catalogue, 3, trials, 2).seeds == [1000, 1001]


def test_development_never_sees_the_one_forget_set_of_a_suite(suite):
    forget = suite.forget.model_copy(update={"seed": 0})

    assert development(suite.model_copy(update={"forget": forget}), Catalogue(), 2, []).forget == suite.forget


def test_seeds_of_the_suite_are_kept_apart_even_where_only_the_first_sets_run(suite):
    with pytest.raises(UsageError, match="seeds from 1000 on are kept for development"):
        development(suite.model_copy(update={"seeds": [1001]}), Catalogue(), 2, [], 1)
