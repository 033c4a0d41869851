"""The speed measurement: medians of what really ran, operations counted as by hand."""

import json

import pytest
from click.testing import CliRunner

from mubench.cli import main
from mubench.discovery.find import Catalogue
from mubench.running import speed
from mubench.running.speed import Workload, ours, plain, rates, training_flops

MODELS = Catalogue().models

WORK = Workload(MODELS["small-cnn"], (1, 8, 8), 10, 12, padding=1, flip=False, device="cpu", threads=1)


def test_operations_of_the_small_network_by_hand():
    first, second = 9 * 1 * 32 * 64, 9 * 32 * 64 * 16
    third, head = 9 * 64 * 64 * 16, 64 * 10
    forward = first + second + third + head

    # weights' gradients cost as much as forward, inputs' gradients too, except the images' own
    assert training_flops(WORK) == 2 * (3 * forward - first)


@pytest.mark.parametrize("loop", [plain(WORK), ours(WORK, "fp32"), ours(WORK, "fp32", channels_last=False)])
def test_every_loop_trains_on_all_images_in_batches(loop):
    assert [next(loop) for _ in range(2 * speed.BATCHES)] == [WORK.batch_size] * 2 * speed.BATCHES


def test_rates_are_medians_of_alternating_turns(monkeypatch):
    now, order = [0.0], []

    def loop(name, durations):
        for seconds in durations:
            now[0] += seconds
            order.append(name)
            yield 10

    monkeypatch.setattr(speed.time, "perf_counter", lambda: now[0])
    # the first step warms up; then three turns, of which one met a busy machine
    found = rates(WORK, {"a": loop("a", [99, 1, 8, 2]), "b": loop("b", [99, 5, 5, 5])}, rounds=3, seconds=0.5)

    assert found == {"a": 10 / 2, "b": 10 / 5}
    assert order == list("abababab")


def test_speed_reports_its_own_way_over_the_plain_loop(home):
    arguments = ["speed", "--device", "cpu", "--rounds", "1", "--seconds", "0.01", "--threads", "1", "--json"]

    result = CliRunner().invoke(main, [*arguments, "--set", "batch_size=16"])
    found = json.loads(result.stdout)

    measured = found["samples_per_second"]
    assert found["own"] == "fp32, channels_last"
    assert found["speedup"] == pytest.approx(measured[found["own"]] / measured["plain loop"])
    assert {"plain loop", "fp32, NCHW", "fp32, channels_last"} <= set(measured)
    ceiling = found["matmul_flops_per_second"]["fp32"] / found["training_flops_per_sample"]
    assert found["ceiling_samples_per_second"]["fp32"] == pytest.approx(ceiling)
    assert found["share_of_ceiling"] == pytest.approx(measured[found["own"]] / ceiling)
    assert (found["batch_size"], found["threads"], found["device"]) == (16, 1, "cpu")


def test_a_suite_that_compiles_is_measured_compiled(home, monkeypatch):
    compiled = []
    monkeypatch.setattr("torch.nn.Module.compile", lambda module, mode: compiled.append(mode))
    arguments = ["speed", "--device", "cpu", "--rounds", "1", "--seconds", "0.01", "--threads", "1", "--json"]

    result = CliRunner().invoke(main, [*arguments, "--compile"])
    found = json.loads(result.stdout)

    assert compiled == ["reduce-overhead"]
    assert found["own"] == "fp32, channels_last, compiled"
    measured = found["samples_per_second"]
    assert found["speedup"] == pytest.approx(measured[found["own"]] / measured["plain loop"])
    assert "fp32, channels_last" in measured


def test_speed_needs_no_images_where_it_is_known_what_they_are_like(home, monkeypatch):
    monkeypatch.setenv("MUBENCH_DATA", str(home / "nowhere"))
    arguments = ["speed", "--suite", "cifar100-random-10", "--profile", "small", "--set", "batch_size=4"]
    fast = ["--device", "cpu", "--rounds", "1", "--seconds", "0.01", "--threads", "1", "--json"]

    result = CliRunner().invoke(main, [*arguments, *fast])

    assert json.loads(result.stdout)["shape"] == [3, 32, 32]
    assert not (home / "nowhere").exists()
