"""The score statistics against their formulas, written out one number at a time."""

import math

import numpy as np
import pytest

from mubench.api.scores import (
    STATISTICS,
    confidence,
    correctness,
    entropy,
    log_softmax,
    modified_entropy,
)


def softmax_of(row):
    e = [math.exp(v) for v in row]
    return [v / math.fsum(e) for v in e]


def scalar(statistic, row, y):
    p = softmax_of(row)
    if statistic == "correctness":
        return float(max(range(len(p)), key=p.__getitem__) == y)
    if statistic == "confidence":
        return math.log(p[y] / math.fsum(p[i] for i in range(len(p)) if i != y))
    if statistic == "entropy":
        return math.fsum(v * math.log(v) for v in p)
    others = math.fsum(p[i] * math.log(1 - p[i]) for i in range(len(p)) if i != y)
    return (1 - p[y]) * math.log(p[y]) + others


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_a_statistic_is_its_formula(statistic, classes):
    rng = np.random.default_rng(classes)
    z, y = rng.normal(0, 3, (200, classes)), rng.integers(0, classes, 200)
    expected = [scalar(statistic, row, label) for row, label in zip(z, y, strict=True)]
    np.testing.assert_allclose(STATISTICS[statistic](z, y), expected, rtol=1e-9, atol=1e-12)


def test_modified_entropy_depends_on_the_label_and_entropy_does_not():
    z = np.array([[2.0, 0.0, -1.0]] * 3)
    y = np.arange(3)
    assert np.unique(entropy(z, y)).size == 1
    modified = modified_entropy(z, y)
    assert modified[0] > modified[1] > modified[2]


def test_two_classes_by_hand():
    # p = (3/4, 1/4).
    z, y = np.array([[math.log(3.0), 0.0]]), np.array([0])
    assert confidence(z, y)[0] == pytest.approx(math.log(3))
    assert entropy(z, y)[0] == pytest.approx(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert modified_entropy(z, y)[0] == pytest.approx(0.25 * math.log(0.75) + 0.25 * math.log(0.75))


def test_huge_logits_stay_finite_and_exact():
    z = np.array([[1000.0, 0.0], [0.0, 1000.0], [3e38, -3e38]])
    y = np.zeros(3, np.int64)
    assert confidence(z, y).tolist() == [1000.0, -1000.0, 6e38]
    assert modified_entropy(z, y).tolist() == [0.0, -2000.0, 0.0]
    assert entropy(z, y).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("statistic", [confidence, entropy, modified_entropy])
def test_no_saturation_where_a_softmax_is_1(statistic):
    z = np.array([[v, 0.0, 0.0] for v in (30.0, 40.0, 50.0, 100.0)], np.float32)
    assert np.exp(log_softmax(z))[2, 0] == 1.0
    assert (np.diff(statistic(z, np.zeros(4, np.int64))) > 0).all()


@pytest.mark.parametrize("statistic", STATISTICS)
def test_order_batches_and_relabelling_change_no_bit(statistic):
    rng = np.random.default_rng(0)
    z, y = rng.normal(0, 8, (257, 10)).astype(np.float32), rng.integers(0, 10, 257)
    f = STATISTICS[statistic]
    whole = f(z, y)
    assert np.array_equal(np.concatenate([f(z[i : i + 13], y[i : i + 13]) for i in range(0, 257, 13)]), whole)
    shuffled = rng.permutation(257)
    assert np.array_equal(f(z[shuffled], y[shuffled]), whole[shuffled])
    assert np.array_equal(f(np.asfortranarray(z), y), whole)
    old_of_new = rng.permutation(10)
    assert np.array_equal(f(z[:, old_of_new], np.argsort(old_of_new)[y]), whole)


def test_of_equal_logits_the_lowest_class_is_the_prediction():
    assert correctness(np.zeros((2, 3)), np.array([0, 1])).tolist() == [1.0, 0.0]


def test_confidence_ranks_as_the_probability():
    rng = np.random.default_rng(1)
    z, y = rng.normal(size=(300, 5)), rng.integers(0, 5, 300)
    probability = np.exp(log_softmax(z))[np.arange(300), y]
    assert np.array_equal(np.argsort(confidence(z, y)), np.argsort(probability))
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-confidence(z, y))), rtol=1e-12)
