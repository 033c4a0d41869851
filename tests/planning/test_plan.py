"""From a suite to recorded cells: what a key says, what is skipped or refused, what Retrain may know."""

import itertools
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from mubench.errors import UsageError
from mubench.planning import plan as plans
from mubench.planning.splits import digest_of
from mubench.reporting import results
from mubench.running import bench as benches
from mubench.running.bench import Bench
from mubench.running.contract import differing
from mubench.running.evaluate import evaluate
from mubench.running.worker import run_one
from mubench.storage.store import Store
from mubench.streams import stream_seed

TWO_ROWS = 'methods = ["Retrain", "FT"]'
MINE = """
@method("Mine", sees=("forget", "retain"), cite="N")
def mine(model, task, *, lr: float = 0.05):
    "Mine."
    step = Step(model, cross_entropy_loss, lr)
    for x, y in task.forget:
        step(x, y)
"""


def outputs(store, key):
    """All stored arrays of a cell, by name."""
    found = store.get(key).outputs()
    parts = {"logits": found.logits, "labels": found.labels, "features": found.features}
    return {f"{kind}.{name}": a for kind, arrays in parts.items() for name, a in arrays.items()}


def same(one, two):
    return one.keys() == two.keys() and all(np.array_equal(one[n], two[n]) for n in one)


def test_a_run_twice_trains_nothing_and_two_stores_hold_the_same_bits(bench, keys):
    change = 'seeds = [0, 1]\nfloor = true\nmethods = ["FT", "GA", "RL", "SalUn"]'
    plan, outcomes, one = bench(change, store="one")
    assert {o.status for o in outcomes.values()} == {"ok"}
    assert len(outcomes) == len(plan.cells) == 2 * 8
    assert plan.missing(one) == []
    assert bench(change, store=one)[1] == {}

    _, again, two = bench(change, store="two")

    assert len(again) == len(outcomes)
    for row in plan.rows:
        for key in row.keys.values():
            assert same(outputs(one, key), outputs(two, key)), row.name
            costs = [s.get(key).about["cost"] for s in (one, two)]
            assert [c["forward"] for c in costs] == [costs[0]["forward"]] * 2


def test_what_a_record_holds(bench):
    plan, _, store = bench(TWO_ROWS)
    split = plan.blocks[0].splits[0]
    retrain, original, tuned = (store.get(r.keys[0]) for r in plan.rows)

    arrays = outputs(store, plan.rows[2].keys[0])
    labels = plan.dataset.raw.labels
    for name in ("forget", "retain", "val", "test"):
        at = getattr(split, name)
        assert (arrays[f"logits.{name}"].shape, arrays[f"logits.{name}"].dtype) == ((len(at), 3), np.float32)
        assert np.array_equal(arrays[f"labels.{name}"], labels[at])
    assert arrays["features.forget"].shape == (len(split.forget), 64)
    about = tuned.about
    assert about["parameters"] == {"epochs": 10, "lr": 0.01}
    assert about["split"] == split.manifest()
    assert about["cost"]["read"] == {"forget": 0, "retain": 10 * len(split.retain)}
    assert about["cost"]["forward"] == about["cost"]["backward"] == 10 * len(split.retain)
    assert retrain.about["cost"]["forward"] == len(split.retain)
    assert original.about["cost"]["forward"] == 0
    trained = store.get(about["original"])
    assert trained.about["cost"]["read"]["train"] == len(split.train)


def test_a_variant_equal_to_its_base_shares_its_cell(bench):
    variant = '[[variants]]\nname = "FT too"\nbase = "FT"\nparameters = { lr = 0.01 }'
    plan = bench(TWO_ROWS, tables=variant, dry=True)
    other = bench(TWO_ROWS, tables=variant.replace("0.01", "0.5"), dry=True)

    by_name = {r.name: r for r in plan.rows}
    assert by_name["FT too"].keys == by_name["FT"].keys
    assert len(plan.cells) == 4
    assert {r.name: r.parameters["lr"] for r in other.rows if r.role == "method"} == {
        "FT": 0.01,
        "FT too": 0.5,
    }
    assert len(other.cells) == 5


def test_variants_inherit_the_rows_own_parameters(bench):
    variant = '[[variants]]\nname = "FT too"\nbase = "FT"\nparameters = { lr = 0.5 }'
    plan = bench("methods = { FT = { epochs = 3 } }", tables=variant, dry=True)

    assert plan.rows[-1].parameters == {"epochs": 3, "lr": 0.5}


def test_rows_stand_in_the_tables_order_and_retrain_and_original_always_join(bench):
    plan = bench('methods = ["GA", "FT"]\nfloor = true', dry=True)

    assert [(r.name, r.role) for r in plan.rows] == [
        ("Retrain", "reference"),
        ("Original", "baseline"),
        ("Retrain (again)", "floor"),
        ("GA", "method"),
        ("FT", "method"),
    ]


@pytest.mark.parametrize("floor", ["false", "true", "0", "1", "4"])
def test_floor_is_how_many_further_retrains_there_are(bench, floor):
    plan = bench(f'methods = ["FT"]\nfloor = {floor}', dry=True)

    names = ["Retrain (again)", "Retrain (again 2)", "Retrain (again 3)", "Retrain (again 4)"]
    count = {"false": 0, "true": 1}.get(floor) if floor.isalpha() else int(floor)
    assert [r.name for r in plan.rows if r.role == "floor"] == names[:count]
    streams = {c.stream for c in plan.cells if c.spec and c.spec.name == "Retrain"}
    assert streams == {"unlearn", *["again", "again 2", "again 3", "again 4"][:count]}


@pytest.mark.parametrize("name", ["Retrain", "Original", "Retrain (again)", "Retrain (again 2)"])
@pytest.mark.parametrize("floor", ["true", "false", "2"])
def test_names_of_rows_that_join_by_themselves_are_reserved(bench, name, floor):
    table = f'[[variants]]\nname = "{name}"\nbase = "FT"'
    message = re.escape(f"a row is called {name!r}, the name of a row that joins by itself")

    with pytest.raises(UsageError, match=rf"tiny\.toml: {message}"):
        bench(f'methods = ["FT"]\nfloor = {floor}', tables=table, dry=True)


def test_further_retrains_differ_from_each_other(bench, keys):
    plan, _, store = bench("floor = 3")
    of_row = keys(plan)
    rows = ("Retrain", "Retrain (again)", "Retrain (again 2)", "Retrain (again 3)")
    logits = [outputs(store, of_row[name][0])["logits.test"] for name in rows]

    for one, two in itertools.combinations(logits, 2):
        assert (one != two).any(axis=1).all()


@pytest.mark.parametrize("methods", [None, "Mine,FT"])
def test_a_plugin_called_like_a_variant_is_refused(bench, plugin_file, methods):
    """Selection and plugins come after the suite's file was checked."""
    table = '[[variants]]\nname = "Mine"\nbase = "FT"'

    with pytest.raises(UsageError, match=r"tiny\.toml: two rows are called 'Mine'"):
        bench('methods = ["FT"]', plugins=[plugin_file(MINE)], tables=table, dry=True, methods=methods)


def test_a_variant_of_retrain_is_a_row_that_is_compared_with_it(bench):
    table = '[[variants]]\nname = "Retrain too"\nbase = "Retrain"'

    assert [(r.name, r.role) for r in bench(tables=table, dry=True).rows] == [
        ("Retrain", "reference"),
        ("Original", "baseline"),
        ("Retrain too", "method"),
    ]


def test_a_method_outside_its_scenarios_is_skipped_with_the_reason(bench, plugin_file):
    path = plugin_file(MINE.replace('cite="N"', 'cite="N", scenarios=("class", "indices")'))

    plan, outcomes, _ = bench(plugins=[path])

    row = plan.rows[-1]
    assert (row.name, row.status, row.keys) == ("Mine", "skipped", {})
    assert row.reason == "not for random forgetting, only class, indices"
    assert "Mine" not in {name for name, _, _ in outcomes}


def test_retrain_again_is_trained_on_the_same_images_from_another_start(bench, keys):
    plan, _, store = bench("floor = true")
    one, two = (outputs(store, keys(plan)[n][0]) for n in ("Retrain", "Retrain (again)"))

    assert all(np.array_equal(one[n], two[n]) for n in one if n.startswith("labels"))
    for name in one:
        if name.startswith("logits"):
            assert (one[name] != two[name]).any(axis=1).all(), name


def test_every_random_stream_has_a_name_and_no_two_cells_share_one(home, bench, monkeypatch):
    drawn = []

    def spy(seed, *names):
        drawn.append("/".join([str(seed), *names]))
        return stream_seed(seed, *names)

    for module in ("bench", "task"):
        monkeypatch.setattr(f"mubench.running.{module}.stream_seed", spy)
    plan = bench("floor = true\nseeds = [5]", dry=True)
    assert {run_one(cell, Store(home / "store")).status for cell in plan.cells} == {"ok"}

    streams = ("init", "order/retain", "augmentation/retain", "method")
    retrains = [f"5/{run}/{stream}" for run in ("unlearn", "again") for stream in streams]
    trained = [f"5/original/{stream}" for stream in ("init", "order/train", "augmentation/train")]
    # every method starts by building the original, whose weights are then loaded
    loaded = ["5/original/init"] * 3
    assert sorted(drawn) == sorted([*retrains, *trained, *loaded, "5/unlearn/method"])


def test_seeds_differ_in_their_models_and_forget_sets(bench, keys):
    plan, _, store = bench("seeds = [0, 1]")
    one, two = (outputs(store, keys(plan)["Original"][s]) for s in (0, 1))

    assert not np.array_equal(plan.blocks[0].splits[0].forget, plan.blocks[0].splits[1].forget)
    assert (one["logits.val"] != two["logits.val"]).all()


def test_retrain_does_not_depend_on_the_images_to_forget(home, bench, keys, monkeypatch):
    """The same with the forget set's pixels and labels destroyed, which the original does notice."""
    plan, _, clean = bench()
    cells = {(c.spec.name if c.spec else ""): c for c in plan.cells}
    harmed = Store(home / "harmed")
    rows = torch.from_numpy(plan.blocks[0].splits[0].forget)

    def load(*arguments, real=benches.load_dataset, **how):
        """The pixels are destroyed before anything is computed from them, the normalisation too."""
        found = real(*arguments, **how)
        images = np.array(found.raw.images)
        images[rows] = 255
        return replace(found, raw=replace(found.raw, images=images))

    monkeypatch.setattr(benches, "load_dataset", load)
    data = Bench(cells[""].setting, harmed)
    assert (data.images[rows] == 255).all()
    data.labels[rows] = (data.labels[rows] + 1) % 3

    for name in ("", "Retrain", "Original"):
        assert run_one(cells[name], harmed).status == "ok"

    key = cells["Retrain"].key
    one, two = outputs(clean, key), outputs(harmed, key)
    for name in ("retain", "val", "test"):
        assert np.array_equal(one[f"logits.{name}"], two[f"logits.{name}"])
    key = cells["Original"].key
    assert not np.array_equal(outputs(clean, key)["logits.test"], outputs(harmed, key)["logits.test"])


def test_evaluation_leaves_the_model_as_it_was(home, bench):
    plan = bench(dry=True)
    data = Bench(plan.cells[0].setting, Store(home / "store"))
    model = data.fresh(0, "original")
    before = {n: t.clone() for n, t in model.state_dict().items()}

    first = evaluate(data, model, plan.blocks[0].splits[0])
    second = evaluate(data, model, plan.blocks[0].splits[0])

    assert differing(before, model.state_dict()) == []
    assert model.training
    assert same(first, second)


def test_captions_name_the_profile(bench):
    tables = "[profiles.quick]\nseeds = [1]\n"
    quick, full = bench(tables=tables, profile="quick", dry=True), bench(tables=tables, dry=True)

    assert results.from_plan(quick, "tiny", {"profile": "quick"}).notes[0] == "Profile: quick."
    assert not any("Profile" in note for note in results.from_plan(full, "tiny", {"seeds": [3]}).notes)


def test_planning_takes_steps_in_proportion_to_the_cells(bench, monkeypatch):
    row = '[[variants]]\nname = "FT {0}"\nbase = "FT"\nparameters = {{ lr = {1} }}\n'
    steps = 0

    def count(frame, event, _):
        nonlocal steps
        if not frame.f_code.co_filename.endswith("planning/plan.py"):
            return None
        frame.f_trace_opcodes = True
        steps += event == "opcode"
        return count

    def planned(*arguments):
        sys.settrace(count)
        try:
            return real(*arguments)
        finally:
            sys.settrace(None)

    real = plans.make_plan
    monkeypatch.setattr(plans, "make_plan", planned)
    found = []
    # with Retrain, Original and the originals four times as many cells; Python 3.12 counts none at first
    for rows in (17, 17, 77):
        steps = 0
        tables = "".join(row.format(i, (i + 1) / 1e4) for i in range(rows))
        plan = bench(f"seeds = {list(range(10))}", tables=tables, dry=True)
        assert len(plan.cells) == 10 * (rows + 3)
        found.append(steps)

    assert 0 < found[2] < 4.5 * found[1]


def test_each_list_of_indices_is_digested_once(bench, monkeypatch):
    digested = []
    monkeypatch.setattr(
        "mubench.planning.splits.digest_of",
        lambda indices, real=digest_of: digested.append(id(indices)) or real(indices),
    )

    bench('seeds = [0, 1]\nmethods = ["Retrain", "FT", "GA", "RL"]', dry=True)

    # train, validation and test, and forget and retain of each seed
    assert len(digested) == len(set(digested)) == 3 + 2 * 2
