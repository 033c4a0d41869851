"""Expected times: of the same method and setting before, else of epochs and images, else unknown."""

import pytest

from mubench.commands import estimate as module
from mubench.commands.estimate import Forecast, duration, estimate, recipe_images, total_text
from mubench.planning.timing_key import timing_facts
from mubench.storage.files import key_of
from mubench.storage.store import Store

SUITE = 'seeds = [0, 1]\nfloor = true\nmethods = ["FT", "GA"]'
EPOCHS = ("original.epochs=3",)


@pytest.fixture
def planned(bench, home, monkeypatch):
    """`planned(change)`: (plan, empty store), where measuring a rate gives 50 images a second."""
    measured = []
    monkeypatch.setattr(module, "measured_rate", lambda *_: measured.append(1) or 50.0)

    def make(change=SUITE, **options):
        return bench(change, dry=True, set_options=EPOCHS, **options), Store(home / "store")

    make.measured = measured
    return make


def remember(store, cell, **timing):
    store.save_json("timings", key_of(timing_facts(cell.setting, cell)), timing)


def by_name(plan, seconds):
    """(method or "", seed, stream) -> seconds."""
    names = {c.key: (c.spec.name if c.spec else "", c.seed, str(c.stream)) for c in plan.cells}
    return {names[key]: value for key, value in seconds.items()}


def test_what_trains_by_the_recipe_takes_epochs_times_images_over_the_rate(planned):
    plan, store = planned()
    # 120 training images, a tenth of them for validation, a fifth of the rest to forget
    assert sorted(set(recipe_images(plan).values())) == [3 * 86, 3 * 108]

    seconds = by_name(plan, estimate(plan, plan.cells, store))

    assert seconds["", 0, "original"] == 3 * 108 / 50
    assert seconds["Retrain", 1, "unlearn"] == seconds["Retrain", 1, "again"] == 3 * 86 / 50
    assert seconds["Original", 0, "unlearn"] == 0
    assert seconds["FT", 0, "unlearn"] is None


def test_a_method_takes_what_it_took_at_another_seed(planned):
    plan, store = planned()
    one = next(c for c in plan.cells if c.spec and c.spec.name == "FT")
    remember(store, one, seconds=7.0)

    seconds = by_name(plan, estimate(plan, plan.cells, store))

    assert seconds["FT", 0, "unlearn"] == seconds["FT", 1, "unlearn"] == 7
    assert seconds["GA", 0, "unlearn"] is None


@pytest.mark.parametrize(
    "change",
    [
        "methods = { FT = { epochs = 9 } }",
        'methods = ["FT"]\nforget = { scenario = "random", percent = 30 }',
        'methods = ["FT"]\nbatch_size = 16',
        'methods = ["FT"]\nmodel = "resnet8"',
        'methods = ["FT"]\nthreads = 2',
    ],
)
def test_another_setting_takes_another_time(planned, change):
    plan, store = planned()
    remember(store, next(c for c in plan.cells if c.spec and c.spec.name == "FT"), seconds=7.0)
    other, _ = planned(change)

    assert by_name(other, estimate(other, other.cells, store))["FT", 0, "unlearn"] is None


def test_a_rate_that_was_recorded_is_not_measured(planned):
    plan, store = planned()
    remember(store, plan.cells[0], seconds=9.0, images_per_second=100.0)

    seconds = by_name(plan, estimate(plan, plan.cells, store))

    assert seconds["", 1, "original"] == 9
    assert seconds["Retrain", 0, "unlearn"] == 3 * 86 / 100
    assert not planned.measured


def test_a_rate_is_measured_for_long_work_alone(planned):
    plan, store = planned()
    images = sum(recipe_images(plan).values())

    assert by_name(plan, estimate(plan, plan.cells, store, images + 1))["", 0, "original"] is None
    assert not planned.measured
    assert by_name(plan, estimate(plan, plan.cells, store, images))["", 0, "original"] == 3 * 108 / 50
    assert len(planned.measured) == 1


def test_the_rate_is_measured_in_a_process_of_its_own_and_kept(bench, home):
    plan, store = bench(SUITE, dry=True), Store(home / "store")

    rate = module.measured_rate(plan, store)

    assert rate > 0
    assert estimate(plan, plan.cells, store)[plan.cells[0].key] == 108 / rate


def test_a_plugins_model_is_not_measured(bench, home, plugin_file, monkeypatch):
    path = plugin_file("""
    from mubench import model

    @model("mine")
    def mine(channels: int):
        raise AssertionError
    """)
    plan = bench(f'{SUITE}\nmodel = "mine"', plugins=[path], dry=True)
    monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: pytest.fail("a process was started"))

    assert module.measured_rate(plan, Store(home / "store")) is None


def test_a_forecast_learns_from_what_finishes(planned):
    plan, _ = planned()
    cells = [c for c in plan.cells if c.spec and c.spec.name in ("FT", "GA")]  # FT, FT, GA, GA
    forecast = Forecast(cells, {cells[0].key: 10.0, cells[1].key: 10.0}, jobs=2)

    assert forecast.seconds_left() is None
    forecast.finish(cells[0], 4.0)
    assert forecast.seconds_left() == (4 + 2 * 4) / 2  # GA is unknown: as long as what finished
    forecast.finish(cells[2], 1.0)
    assert forecast.seconds_left() == (4 + 1) / 2
    forecast.finish(cells[3], None)
    assert forecast.seconds_left() == 4 / 2


def test_totals_say_what_they_leave_out():
    assert total_text({"a": 60.0, "b": 60.0}, 2) == "about 60 s"
    assert total_text({"a": 60.0, "b": None}, 0) == "at least 60 s (unknown for 1 of 2 cells)"
    assert total_text({"a": 0.0, "b": None}, 1) == "an unknown time"
    assert [duration(s) for s in (0.04, 9.94, 9.96, 99.4, 100, 6000, 12000)] == [
        "0.0 s", "9.9 s", "10 s", "99 s", "2 min", "1 h 40 min", "3 h 20 min"
    ]  # fmt: skip
