"""Forecasts: what a rehearsal counts is the methods' cost formula, and time is that over the speed."""

import json

import pytest
from click.testing import CliRunner

from mubench import forecast as module
from mubench.cli import main
from mubench.forecast import Forecast, forecast, rehearse
from mubench.outlook import advice, duration
from mubench.store import Store

SIZES = {"forget": 24, "retain": 84, "val": 12, "test": 60}
ROWS = 'methods = ["Retrain", "FT", "GA", "RL", "CL", "SalUn"]'


def cost(n_f, n_r):
    """What each method's docstring promises; Retrain runs the recipe's one epoch."""
    return {
        "Retrain": n_r,
        "FT": 10 * n_r,
        "GA": 5 * n_f,
        "RL": 10 * (n_f + n_r),
        "CL": n_f + 10 * (2 * n_f + n_f / 3 + n_r),
        "SalUn": n_f + 10 * (n_f + n_r),
    }


COST = cost(SIZES["forget"], SIZES["retain"])


@pytest.fixture
def store(home):
    return Store(home / "store")


def by_row(plan):
    return {cell.card.name: cell for cell in plan.cells if cell.card}


def test_rehearsals_count_what_the_methods_cost(bench):
    cells = by_row(bench(ROWS, dry=True))

    for name, cost in COST.items():
        assert rehearse(cells[name], SIZES, 3) == pytest.approx(cost, rel=0.02), name


def test_large_sets_are_rehearsed_small(bench, monkeypatch):
    monkeypatch.setattr(module, "STAND_IN", 54)
    many = {name: 10 * n for name, n in SIZES.items()}
    cells = by_row(bench(ROWS, dry=True))

    for name, cost in COST.items():
        assert rehearse(cells[name], many, 3) == pytest.approx(10 * cost, rel=0.06), name


def test_what_does_not_grow_with_the_sets_is_told_from_what_does(bench, plugin_file, monkeypatch):
    path = plugin_file("""
    @method("Fixed", sees=("forget", "retain"))
    def fixed(model, task):
        fit = Step(model, cross_entropy_loss, 0.1)
        for i, (x, y) in enumerate(task.retain.cycle()):
            if i == 50:
                break
            fit(x[:1], y[:1])
        for x, y in task.forget.epochs(3):
            fit(x, y)
    """)
    monkeypatch.setattr(module, "STAND_IN", 54)
    cell = by_row(bench('methods = ["Fixed"]', plugins=[path], dry=True))["Fixed"]
    many = {name: 20 * n for name, n in SIZES.items()}

    assert rehearse(cell, many, 3) == pytest.approx(50 + 3 * many["forget"], rel=0.05)


def test_a_method_that_never_ends_is_waited_for_once(bench, plugin_file, monkeypatch, store):
    path = plugin_file("""
    @method("Endless", sees="forget")
    def endless(model, task):
        time.sleep(3600)
    """)
    plan = bench('methods = ["FT", "Endless"]', plugins=[path], dry=True)
    # long enough for the other rehearsals and for importing torch, on a busy machine too
    monkeypatch.setattr(module, "PATIENCE", 25.0)
    assert forecast(plan, plan.cells, store, jobs=2) is None

    monkeypatch.setattr(module, "PATIENCE", 120.0)
    found = forecast(plan, plan.cells, store, jobs=2)

    assert set(found.seconds) == {c.key for c in plan.cells}


def test_a_method_that_cannot_be_rehearsed_counts_as_the_others_do(bench, plugin_file, store):
    path = plugin_file("""
    @method("Exit", sees="forget")
    def leave(model, task):
        print("noise")
        sys.exit(3)
    """)
    plan = bench('methods = ["FT", "Exit"]', plugins=[path], dry=True)
    cells = by_row(plan)
    found = forecast(plan, plan.cells, store, jobs=2)

    assert rehearse(cells["Exit"], SIZES, 3) is None
    alone = [found.seconds[c.key] for c in plan.cells if c.card is None or c.card.name != "Exit"]
    assert min(alone) < found.seconds[cells["Exit"].key] < max(alone)


def test_time_is_cost_over_speed(bench, store):
    plan = bench(ROWS, dry=True)
    found = forecast(plan, plan.cells, store, jobs=2)
    split = plan.splits[0]
    promised = cost(len(split.forget), len(split.retain))
    evaluated = len(plan.dataset.raw.labels) / 3

    for name, cell in by_row(plan).items():
        if name in promised:
            expected = (promised[name] + evaluated) / found.samples_per_second
            assert found.seconds[cell.key] == pytest.approx(expected, rel=0.02), name
    assert found.total == pytest.approx(sum(found.seconds.values()) / 2)
    assert set(found.seconds) == {c.key for c in plan.cells}


def test_no_number_of_jobs_is_faster_than_an_original_and_its_longest_cell():
    seconds = {"o": 100.0, "retrain": 90.0, "ft": 5.0, "p": 100.0}
    after = {"o": "", "retrain": "o", "ft": "o", "p": ""}

    assert Forecast(1.0, seconds, 32, after).total == 190
    assert Forecast(1.0, seconds, 1, after).total == 295
    # an original that is in the store is not waited for
    assert Forecast(1.0, {"retrain": 90.0}, 32, after).total == 90


def test_an_interrupted_rehearsal_is_not_held_against_the_method(bench, plugin_file, monkeypatch, store):
    path = plugin_file("""
    @method("Slow", sees="forget")
    def slow(model, task):
        for _ in range(600):
            time.sleep(0.1)
    """)
    plan = bench('methods = ["Slow"]', plugins=[path], dry=True)
    real = module.subprocess.Popen.communicate

    def interrupted(child, said, timeout):
        while not saved():  # until one is under way
            with pytest.raises(module.subprocess.TimeoutExpired):
                real(child, said, timeout=0.2)
            said = None  # it has been sent
        raise KeyboardInterrupt

    def saved():
        found = [f.stem for f in (store.root / "rehearsals").glob("*.json")]
        return [f for f in found if store.cached_json("rehearsals", f) == "failed"]

    monkeypatch.setattr(module.subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        forecast(plan, plan.cells, store, jobs=2)

    assert saved() == []


@pytest.mark.parametrize(
    ("suite", "cells", "worth"),
    [
        ('model = "small-cnn"', 30_000, False),
        ('model = "small-cnn"', 50_000, True),
        ('model = "resnet8"', 5_000, False),
        ('model = "resnet18"', 5_000, True),
    ],
)
def test_a_run_of_about_a_minute_is_forecast(bench, suite, cells, worth):
    plan = bench(suite, dry=True)

    assert module.worthwhile(plan, plan.cells[:1] * cells) is worth


def test_nothing_missing_takes_no_time(bench, store):
    plan = bench(dry=True)

    assert forecast(plan, [], store, jobs=2).total == 0


def test_a_long_run_on_a_cpu_names_the_small_profile():
    long = Forecast(100.0, {"a": 4500.0, "b": 4500.0}, 2)
    short = Forecast(100.0, {"a": 2500.0, "b": 2500.0}, 2)

    assert "--profile small" in advice(long, "cpu", ["small"], None)
    assert "75 min" in advice(long, "cpu", ["small"], None)
    for other in (
        advice(short, "cpu", ["small"], None),
        advice(long, "cuda", ["small"], None),
        advice(long, "cpu", [], None),
        advice(long, "cpu", ["small"], "small"),
    ):
        assert "--profile" not in other


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(3.4, "3 s"), (89, "89 s"), (700, "12 min"), (5400, "1 h 30 min"), (12_000, "3 h 20 min")],
)
def test_durations_as_people_say_them(seconds, said):
    assert duration(seconds) == said


def test_plan_tells_what_is_cached(bench, home):
    _, outcomes, store = bench('methods = ["FT"]')
    assert {o.status for o in outcomes.values()} == {"ok"}
    arguments = ["plan", "--suite", "tiny.toml", "--store", str(store.root), "--device", "cpu", "--json"]

    done = json.loads(CliRunner().invoke(main, arguments).stdout)
    more = json.loads(CliRunner().invoke(main, [*arguments, "--set", "seeds=[0,1]"]).stdout)

    assert {c["cached"] for c in done["cells"]} == {True}
    assert done["seconds"] == 0
    assert {(c["row"], c["seed"]) for c in more["cells"] if not c["cached"]} == {
        (row, 1) for row in ("original model", "Retrain", "Original", "FT")
    }
    assert all((c["seconds"] is None) == c["cached"] for c in more["cells"])
    assert more["seconds"] > 0
