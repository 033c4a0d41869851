"""AUC and TPR against scikit-learn and against brute force."""

from fractions import Fraction

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mubench.api.outputs import Outputs
from mubench.api.scores import confidence
from mubench.discovery.find import Catalogue
from mubench.metrics.ranking import matched_auc, matched_tpr
from mubench.reporting.evaluate import evaluate_row

METRICS = Catalogue().metrics


def draw(rng, n, classes, levels, shift=0.0):
    y = rng.integers(0, classes, n)
    return np.round(rng.normal(shift, 1, n) * levels) / levels + y, y


def sklearn_auc(targets, test):
    total = weight = 0.0
    for c in np.intersect1d(targets[1], test[1]):
        a, b = targets[0][targets[1] == c], test[0][test[1] == c]
        total += len(a) * roc_auc_score(np.r_[np.ones(len(a)), np.zeros(len(b))], np.r_[a, b])
        weight += len(a)
    return 100 * total / weight


def slow_tpr(targets, test, max_fpr):
    """Try every score as a threshold, in exact arithmetic."""
    shared = set(targets[1].tolist()) & set(test[1].tolist())
    mine = [(s, c) for s, c in zip(*map(np.ndarray.tolist, targets), strict=True) if c in shared]
    theirs = [(s, c) for s, c in zip(*map(np.ndarray.tolist, test), strict=True) if c in shared]
    weight = {
        c: Fraction(sum(d == c for _, d in mine), len(mine) * sum(d == c for _, d in theirs)) for c in shared
    }
    best = 0
    for t in {s for s, _ in mine}:
        if sum(weight[c] for s, c in theirs if s >= t) <= max_fpr:
            best = max(best, sum(s >= t for s, _ in mine))
    return 100 * best / len(mine)


@pytest.mark.parametrize("classes", [1, 3, 8])
@pytest.mark.parametrize("levels", [2, 1000])
def test_auc_is_sklearns_class_by_class(classes, levels):
    rng = np.random.default_rng(classes)
    targets, test = draw(rng, 90, classes, levels, 0.7), draw(rng, 130, classes, levels)
    assert matched_auc(targets, test) == pytest.approx(sklearn_auc(targets, test), abs=1e-9)


@pytest.mark.parametrize("levels", [2, 1000])
@pytest.mark.parametrize("max_fpr", [Fraction(1, 100), Fraction(1, 10), Fraction(1, 4)])
def test_tpr_is_the_brute_force_one(levels, max_fpr):
    found = set()
    for seed in range(15):
        rng = np.random.default_rng(seed)
        targets, test = draw(rng, 40, 3, levels, 1.0), draw(rng, 120, 4, levels)
        got = matched_tpr(targets, test, float(max_fpr))
        assert got == pytest.approx(slow_tpr(targets, test, max_fpr), abs=1e-9)
        found.add(got)
    assert len(found) > 2


def test_exactly_one_percent_is_allowed():
    y = np.zeros(1000, np.int64)
    test = np.arange(1000.0)
    targets = np.array([989.5, 988.5, 2000.0, 989.0])
    # Ten of a thousand score 990 or more: 989.5 keeps the rate at 1 %, 989 would make it 1.1 %.
    assert matched_tpr((targets, y[:4]), (test, y)) == 50.0


def test_a_threshold_tied_with_too_many_test_images_is_not_taken():
    y = np.zeros(100, np.int64)
    test = np.r_[np.zeros(98), 5.0, 5.0]
    assert matched_tpr((np.array([5.0, 5.0, 6.0, 1.0]), y[:4]), (test, y)) == 25.0


@pytest.mark.parametrize("f", [np.arctan, np.exp, lambda x: 3 * x - 7])
def test_monotone_maps_change_nothing(f):
    rng = np.random.default_rng(0)
    targets, test = draw(rng, 80, 3, 4, 0.6), draw(rng, 300, 3, 4)
    for g in (matched_auc, matched_tpr):
        assert g((f(targets[0]), targets[1]), (f(test[0]), test[1])) == g(targets, test)
    assert 50 < matched_auc(targets, test) < 100


def test_the_numbers_of_the_classes_change_no_bit():
    rng = np.random.default_rng(5)
    targets, test = draw(rng, 900, 30, 100, 0.4), draw(rng, 1100, 30, 100)
    for f in (matched_auc, matched_tpr):
        new = [rng.permutation(30) for _ in range(20)]
        assert {f((targets[0], p[targets[1]]), (test[0], p[test[1]])) for p in new} == {f(targets, test)}


def test_a_mix_of_easy_and_hard_classes_is_no_membership():
    """The same distribution in each class, but forget holds more of the easy one."""
    rng = np.random.default_rng(2)
    easy, hard = np.r_[np.zeros(900), np.ones(100)], np.r_[np.zeros(100), np.ones(900)]
    targets = rng.normal(size=1000) + 4 * (easy == 0), easy.astype(np.int64)
    test = rng.normal(size=1000) + 4 * (hard == 0), hard.astype(np.int64)
    unmatched = 100 * roc_auc_score(np.r_[np.ones(1000), np.zeros(1000)], np.r_[targets[0], test[0]])
    assert unmatched > 85
    assert matched_auc(targets, test) == pytest.approx(50, abs=5)
    assert matched_tpr(targets, test) < 4


def test_classes_without_test_images_are_left_out():
    rng = np.random.default_rng(3)
    targets, test = draw(rng, 200, 4, 100, 0.5), draw(rng, 200, 3, 100)
    known = targets[1] < 3
    for f in (matched_auc, matched_tpr):
        assert f(targets, test) == f((targets[0][known], targets[1][known]), test)
        assert f((targets[0][~known], targets[1][~known]), test) is None


def test_the_columns(model):
    found = METRICS
    chosen = {n: found[n] for n in ("auc", "tpr")}
    o = model(sizes=(400, 900, 5, 900), lift=(1.0, 4.0, 1.0, 1.0))
    (row,) = evaluate_row(chosen, [o])
    assert set(row) == {"auc", "auc_retain", "auc_against_retain", "tpr", "tpr_retain"}
    assert row["auc"] == pytest.approx(50, abs=4)
    assert row["auc_retain"] > 90
    assert row["tpr"] < 5 < row["tpr_retain"]
    swapped = [{**part, "forget": part["retain"], "retain": part["forget"]} for part in (o.logits, o.labels)]
    (other,) = evaluate_row(chosen, [Outputs(*swapped)])
    assert (other["auc"], other["tpr"]) == (row["auc_retain"], row["tpr_retain"])


def test_in_class_forgetting_forget_meets_its_own_class(model):
    o = model(forgotten=(2,))
    (row,) = evaluate_row({"auc": METRICS["auc"]}, [o])
    of_class = o.labels["test"] == 2
    own = confidence(o.logits["test"], o.labels["test"])[of_class]
    forget = confidence(*o.of("forget"))
    expected = roc_auc_score(np.r_[np.ones(len(forget)), np.zeros(len(own))], np.r_[forget, own])
    assert row["auc"] == pytest.approx(100 * expected, abs=1e-9)


def test_no_column_when_no_class_is_shared():
    z = np.array([[1.0, 0.0], [0.5, 0.0]], np.float32)
    labels = {"forget": np.array([1, 1]), "retain": np.array([0, 1]), "test": np.array([0, 0])}
    (row,) = evaluate_row({"auc": METRICS["auc"]}, [Outputs(dict.fromkeys(labels, z), labels)])
    assert set(row) == {"auc_retain", "auc_against_retain"}
