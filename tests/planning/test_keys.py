"""What decides the outcome of a cell is in its key, and nothing else is."""

import pytest

from mubench.planning.data_cache import Dataset, _digest
from mubench.running.executor import execute
from mubench.storage.store import Store

TWO_ROWS = 'methods = ["Retrain", "FT"]'
MINE = """
@method("Mine", sees=("forget", "retain"), cite="N")
def mine(model, task):
    "Mine."
"""


@pytest.fixture
def planned(bench, keys):
    """`planned(change, ...)`: the keys of the plan, by row."""
    return lambda change="", **options: keys(bench(f"{TWO_ROWS}\n{change}", dry=True, **options))


@pytest.mark.parametrize(
    "change",
    [
        'title = "another"',
        'notes = ["said"]',
        "margin = 2.0",
        'headline = "mia"',
        "seeds = [0, 7]",
        "floor = true",
        "timeout = 9.0",
        'tuning = "by hand"',
        'methods = ["Retrain", "FT", "GA"]',
        "methods = { Retrain = {}, FT = { lr = 0.01, epochs = 10 } }",
    ],
)
def test_what_does_not_decide_an_outcome_is_not_in_its_key(planned, change):
    found = planned(change)

    for row, of_seed in planned().items():
        assert found[row][0] == of_seed[0], row


@pytest.mark.parametrize(
    "change",
    [
        "batch_size = 16",
        "threads = 2",
        'precision = "bf16"',
        "val_percent = 20.0",
        'dataset = "digits"',
    ],
)
def test_what_decides_everything_is_in_every_key(planned, change):
    found = planned(change)

    for row, of_seed in planned().items():
        assert found[row][0] != of_seed[0], row


RECIPE = ["epochs=2", "lr=0.06", "momentum=0.8", "decay=0.0", "gamma=0.2", "milestones=[1]"]


@pytest.mark.parametrize("value", RECIPE)
def test_the_recipe_is_in_every_key(planned, value):
    found = planned(set_options=(f"original.{value}",))

    for row, of_seed in planned().items():
        assert found[row][0] != of_seed[0], row


def test_a_parameter_decides_its_own_row_alone(planned):
    base, found = planned(), planned("methods = { Retrain = {}, FT = { lr = 0.02 } }")

    assert {row for row in base if found[row] != base[row]} == {"FT"}


@pytest.mark.parametrize(
    "forget",
    ['scenario = "random", percent = 30', 'scenario = "class", class = 1'],
)
def test_the_originals_key_holds_no_forget_set(planned, forget):
    base, found = planned(), planned(f"forget = {{ {forget} }}")

    assert {row for row in base if found[row] == base[row]} == {""}


def test_the_name_of_a_class_gives_the_keys_of_its_number(planned):
    one, two = (planned(f'forget = {{ scenario = "class", class = {c} }}') for c in (1, '"b"'))

    assert one == two


def test_seeds_and_the_second_retrain_have_keys_of_their_own(planned):
    found = planned("seeds = [0, 1]\nfloor = true")

    every = [key for of_seed in found.values() for key in of_seed.values()]
    assert len(found) == 5
    assert len(set(every)) == len(every) == 10


def test_more_retrains_leave_the_keys_of_the_first_alone(planned):
    one, many = planned("floor = true"), planned("floor = 3")

    assert {row: many[row] for row in one} == one
    assert many.keys() - one.keys() == {"Retrain (again 2)", "Retrain (again 3)"}
    assert len({of_seed[0] for of_seed in many.values()}) == len(many)


def test_a_plugins_source_decides_its_row_alone(planned, plugin_file):
    first = planned(plugins=[plugin_file(MINE)])
    edited = planned(plugins=[plugin_file(MINE + "    del model\n")])

    assert {row for row in first if first[row] != edited[row]} == {"Mine"}


def test_the_versions_of_torch_and_of_our_numerics_decide(planned, monkeypatch):
    found = [planned()]
    monkeypatch.setattr("mubench.planning.keys.NUMERICS", 99)
    found.append(planned())
    monkeypatch.setattr("mubench.planning.keys.torch_version", lambda: "99")
    found.append(planned())

    for row in found[0]:
        assert len({f[row][0] for f in found}) == 3, row


def test_the_data_decide(planned, raw, monkeypatch):
    base = planned()
    raw.images[0, 0, 0, 0] ^= 1
    monkeypatch.setattr(
        "mubench.planning.plan.load_dataset", lambda *_: Dataset("blobs", "", _digest(raw), raw)
    )

    found = planned()

    assert all(found[row][0] != base[row][0] for row in base)


def test_a_method_edited_after_planning_is_not_recorded_as_the_planned_one(bench, home, plugin_file):
    path, store = plugin_file(MINE), Store(home / "store")
    plan = bench('methods = ["Retrain", "Mine"]', plugins=[path], dry=True)
    plugin_file(MINE + "    del model\n")

    outcomes = {o.cell.spec.name: o for o in execute(plan.missing(store), store, 0) if o.cell.spec}

    assert outcomes["Retrain"].status == "ok"
    assert outcomes["Mine"].status == "failed"
    assert (
        "mine.py, or a module it imports, has changed since this run was planned" in outcomes["Mine"].reason
    )
