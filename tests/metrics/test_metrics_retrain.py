"""What is measured against Retrain: agreement, divergence, ToW. And Retrain against itself."""

import math
import tracemalloc

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from mubench.api.outputs import Outputs
from mubench.api.scores import log_softmax
from mubench.discovery.find import Catalogue
from mubench.metrics.activation import distances
from mubench.metrics.divergence import PART, _js_bits, in_parts, js_bits
from mubench.reporting.evaluate import evaluate_row
from mubench.reporting.gap import avg_gap

METRICS = Catalogue().metrics

FOUND = METRICS
COMPARED = {n: FOUND[n] for n in ("agreement", "js", "tow", "tow_mia")}


@pytest.mark.parametrize("forgotten", [(), (1,)])
def test_retrain_against_itself(model, forgotten):
    rows = [model(seed=s, split=s, forgotten=forgotten) for s in range(3)]
    for got in evaluate_row(COMPARED, rows, rows):
        assert got == {
            **{f"agreement_{s}": 100.0 for s in ("forget", "retain", "test")},
            **{f"js_{s}": 0.0 for s in ("forget", "retain", "test")},
            "tow": 100.0,
            "tow_mia": 100.0,
        }
    means = {n: FOUND[n] for n in ("ua", "ra", "ta", "mia")}
    values = evaluate_row(means, rows)
    assert avg_gap(values[0], values[0]) == 0.0


def test_divergence_is_scipys():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 3, (50, 6)), rng.normal(0, 3, (50, 6))
    expected = jensenshannon(np.exp(log_softmax(a)), np.exp(log_softmax(b)), base=2, axis=1) ** 2
    np.testing.assert_allclose(js_bits(a, b), expected, rtol=1e-9)


def test_divergence_of_opposites_is_one_bit_and_symmetric():
    a, b = np.array([[5000.0, 0.0], [0.0, 0.0]]), np.array([[0.0, 5000.0], [0.0, 5000.0]])
    # A coin against a certainty, by hand.
    coin = 0.5 * (0.5 * math.log2(0.5 / 0.25) + 0.5 * math.log2(0.5 / 0.75)) + 0.5 * math.log2(1 / 0.75)
    assert js_bits(a, b) == pytest.approx([1.0, coin])
    assert np.array_equal(js_bits(a, b), js_bits(b, a))


def test_divergence_of_copies_is_exactly_0():
    z = np.random.default_rng(1).normal(0, 10, (500, 10)).astype(np.float32)
    assert (js_bits(z, z.copy()) == 0.0).all()
    # A constant added to all logits is the same prediction.
    assert js_bits(z.astype(np.float64), z.astype(np.float64) + 64.0).max() < 1e-12


def test_rounding_leaves_no_divergence_below_0_or_above_1_bit():
    rng = np.random.default_rng(0)
    z = rng.normal(0, 10, (2000, 10))
    assert js_bits(z, z + rng.normal(0, 1e-8, z.shape)).min() >= 0.0
    low, high = 1e4 * (np.arange(10) < 5), 1e4 * (np.arange(10) >= 5)
    apart = js_bits(z + low, rng.normal(0, 10, z.shape) + high)
    assert apart.max() <= 1.0
    assert apart.min() == pytest.approx(1.0)


def test_by_hand():
    def outputs(forget, retain, test):
        sets = {"forget": forget, "retain": retain, "test": test}
        labels = {k: np.zeros(len(v), np.int64) for k, v in sets.items()}
        return Outputs({k: 9 * np.eye(2, dtype=np.float32)[v] for k, v in sets.items()}, labels)

    method = outputs([1, 1, 0, 0], [0] * 9 + [1], [0, 0, 1, 1, 1])
    retrain = outputs([0, 1, 0, 0], [0] * 10, [1, 0, 0, 0, 0])
    (got,) = evaluate_row(COMPARED, [method], [retrain])
    assert got["agreement_forget"] == 75.0
    assert got["agreement_retain"] == 90.0
    assert got["agreement_test"] == pytest.approx(20.0)
    # Accuracies 50 / 90 / 40 and 75 / 100 / 80.
    assert got["tow"] == pytest.approx(100 * 0.75 * 0.9 * 0.6)


def test_tow_mia_takes_the_attack_in_place_of_forget(model):
    rows = [model(seed=s, split=s) for s in range(2)]
    references = [model(seed=50 + s, split=s, lift=(3.0, 3.0, 1.0, 1.5)) for s in range(2)]
    four = {n: FOUND[n] for n in ("ra", "ta", "mia")}
    mine, theirs = evaluate_row(four, rows), evaluate_row(four, references)
    for got, a, b in zip(evaluate_row(COMPARED, rows, references), mine, theirs, strict=True):
        d = {n: abs(a[n] - b[n]) / 100 for n in four}
        assert d["mia"] > 0.05
        assert got["tow_mia"] == pytest.approx(100 * (1 - d["mia"]) * (1 - d["ra"]) * (1 - d["ta"]))


def test_another_split_is_no_reference(model):
    with pytest.raises(ValueError, match="other forget images"):
        evaluate_row(COMPARED, [model(split=0)], [model(split=1)])


def test_without_references_there_is_nothing_to_compare(model):
    assert evaluate_row(COMPARED, [model()]) == [{}]


def test_class_forgetting_compares_the_remaining_test_images(model):
    o = model(forgotten=(1,))
    changed = o.logits["test"].copy()
    changed[o.labels["test"] == 1] = 0.0
    other = Outputs({**o.logits, "test": changed}, o.labels, forgotten=(1,))
    (got,) = evaluate_row(COMPARED, [o], [other])
    assert (got["agreement_test"], got["js_test"], got["tow"]) == (100.0, 0.0, 100.0)


@pytest.mark.parametrize("work", [_js_bits, distances])
def test_parts_change_no_bit_and_bound_the_memory(work, monkeypatch):
    logits, others = np.random.default_rng(0).normal(size=(2, 30_000, 7)).astype(np.float32) * 9
    whole = work(logits, others)
    for part in (1, 700, 10**9):
        with monkeypatch.context() as patch:
            patch.setattr("mubench.metrics.divergence.PART", part)
            few = 500 if part == 1 else len(logits)  # a row at a time takes its time
            assert in_parts(work, logits[:few], others[:few]).tobytes() == whole[:few].tobytes()

    tracemalloc.start()
    try:
        in_parts(work, np.tile(logits, (5, 1)), np.tile(others, (5, 1)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    inputs = 2 * 5 * logits.nbytes
    assert peak < inputs + 12 * PART * 8
