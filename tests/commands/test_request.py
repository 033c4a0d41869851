"""What options change in a suite, and the folder a run writes to."""

from pathlib import Path

import pytest

from mubench.commands.request import Request
from mubench.errors import UsageError


def ask(**options):
    return Request(**{"suite": "somewhere/tiny.toml", "store": None, **options})


def test_options_change_the_suite_in_their_order():
    request = ask(set_options=("a.b=1", "precision='bf16'"), precision="fp32", compiled=False)

    assert request.changes == [
        {"a": {"b": 1}},
        {"precision": "bf16"},
        {"precision": "fp32"},
        {"compile": False},
    ]
    assert ask().changes == []


def test_the_folder_is_named_by_suite_profile_and_overrides():
    assert ask().folder == Path("results/tiny")
    assert ask(profile="small").folder == Path("results/tiny-small")
    assert ask(profile="small").folder_for("tuning") == Path("results/tiny-small-tuning")
    assert ask(publish=True).folder == Path("results/published/tiny")
    assert ask(out=Path("x")).folder == ask(out=Path("x")).folder_for("tuning") == Path("x")
    others = [
        ask(first_seeds=1),
        ask(precision="fp32"),
        ask(compiled=True),
        ask(compiled=False),
        ask(methods="GA"),
    ]
    names = {other.folder.name for other in others}
    assert len(names) == len(others)
    assert all(name.startswith("tiny-custom-") for name in names)


def test_the_manifest_holds_what_was_asked_for():
    request = ask(profile="small", methods="GA", compiled=False, plugins=(Path("a/mine.py"),))

    assert request.marks == {"profile": "small", "methods": "GA", "compile": False, "plugins": ["mine.py"]}
    assert ask().marks == {}


def test_published_results_have_a_place_of_their_own():
    with pytest.raises(UsageError, match="leave out --out"):
        ask(publish=True, out=Path("x"))


def test_cells_timed_alone_run_one_at_a_time():
    assert ask(jobs=4).jobs_on("cpu", 1) == 4
    assert ask(jobs=4, exclusive_timing=True).jobs_on("cpu", 1) == 1
    assert ask(jobs=0, exclusive_timing=True).jobs_on("cpu", 1) == 0
    assert ask().jobs_on("cuda", 1) == 1
