"""How far a running cell is: what it writes, and what is made of it."""

import time

import pytest
import torch

from mubench.api.cost import Ledger
from mubench.api.images import Augmentation, ImageSet
from mubench.commands.estimate import Forecast
from mubench.running import pulse
from mubench.running.executor import execute
from mubench.running.pulse import Beat, Pulse, read_pulses


@pytest.fixture
def images():
    """Six images in batches of two, and the list of what their epochs told."""
    told = []
    ledger = Ledger(on_epoch=lambda *words: told.append(words))
    labels = torch.arange(6)
    made = ImageSet(
        "retain",
        torch.zeros(6, 1, 2, 2, dtype=torch.uint8),
        labels,
        batch_size=2,
        augmentation=Augmentation(),
        order_rng=torch.Generator(),
        augmentation_rng=torch.Generator(),
        ledger=ledger,
    )
    return made, told


def test_an_epoch_says_its_number_where_it_is_known(images):
    made, told = images

    list(made.epochs(2))
    list(made)
    list(made.views(2))
    list(made.plain())

    assert told == [("retain", 1, 2), ("retain", 2, 2), ("retain", 0, 0), ("retain", 0, 0)]


def test_a_cell_is_as_far_as_the_set_read_most_often(tmp_path, monkeypatch):
    monkeypatch.setattr(pulse, "PAUSE", 0)
    beat = Beat(tmp_path, "key")
    assert read_pulses(tmp_path)["key"].epoch == 0

    for name in ("forget", "retain", "forget", "forget"):
        beat(name, 0, 0)
    assert (read_pulses(tmp_path)["key"].epoch, read_pulses(tmp_path)["key"].count) == (3, 0)

    beat("retain", 7, 182)
    assert (read_pulses(tmp_path)["key"].epoch, read_pulses(tmp_path)["key"].count) == (7, 182)


def test_short_epochs_are_not_all_written(tmp_path):
    beat = Beat(tmp_path, "key")
    for number in range(1, 1000):
        beat("retain", number, 1000)

    assert read_pulses(tmp_path)["key"].epoch < 999


def test_what_is_no_pulse_is_no_cell_and_a_lost_folder_no_failure(tmp_path):
    (tmp_path / "half").write_text("12.0 3")

    assert read_pulses(tmp_path) == {}
    Beat(tmp_path / "nowhere", "key")("retain", 1, 2)


@pytest.mark.parametrize(
    ("epoch", "count", "now", "left"),
    [
        (0, 0, 5.0, None),
        (1, 10, 5.0, None),  # the first epoch is not over
        (3, 0, 5.0, None),
        (3, 10, 4.0, 16.0),  # two epochs in 4 s, eight to go
        (3, 10, 5.0, 15.0),
        (10, 10, 99.0, 0.0),
    ],
)
def test_the_rest_takes_as_long_as_the_epochs_before(epoch, count, now, left):
    at = 4.0 if epoch == 3 else 2.0 * (epoch - 1)

    assert Pulse(0.0, epoch, count, at).seconds_left(now) == left


def test_a_forecast_counts_what_running_cells_have_done(bench):
    cells = [c for c in bench('seeds = [3, 4]\nmethods = ["FT"]', dry=True).cells if c.spec is None]
    one, two = (c.key for c in cells)
    forecast = Forecast(cells, {one: 10.0, two: 10.0}, 1)

    assert forecast.seconds_left() == 20
    assert forecast.seconds_left({one: Pulse(100.0)}, 104.0) == 16
    assert forecast.seconds_left({one: Pulse(100.0)}, 150.0) == 10  # late, and nobody knows how much
    assert forecast.seconds_left({one: Pulse(100.0, 3, 4, 120.0)}, 125.0) == 25  # two more of 10 s, 5 s ago
    unknown = Forecast(cells[:1], {}, 1)
    assert unknown.seconds_left({one: Pulse(100.0)}, 104.0) is None
    assert unknown.seconds_left({one: Pulse(100.0, 3, 4, 120.0)}, 120.0) == 20


def test_a_worker_tells_how_far_its_cell_is(bench, home, plugin_file):
    path = plugin_file("""
    @method("Slow", sees="retain", cite="N")
    def slow(model, task):
        for i, _ in enumerate(task.retain.epochs(3)):
            if i % task.retain.batches == 0:
                time.sleep(0.3)
    """)
    from mubench.storage.store import Store

    plan = bench('dataset = "digits"\nbatch_size = 128\nmethods = []', plugins=[path], dry=True)
    (slow,) = (c.key for c in plan.cells if c.spec and c.spec.name == "Slow")
    folder, store = home / "pulse", Store(home / "store")
    folder.mkdir()
    before = time.time()

    outcomes = execute(plan.missing(store), store, 1, pulse=folder)

    assert {o.status for o in outcomes} == {"ok"}
    pulses = read_pulses(folder)
    assert set(pulses) == {c.key for c in plan.cells}
    assert (pulses[slow].epoch, pulses[slow].count) == (3, 3)
    assert before < pulses[slow].started < pulses[slow].at < time.time()
