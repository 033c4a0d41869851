"""The threshold attack against brute force, and what it must say where the answer is known."""

from fractions import Fraction

import numpy as np
import pytest

from mubench.api.outputs import Outputs
from mubench.api.scores import STATISTICS, confidence
from mubench.discovery.find import Catalogue
from mubench.metrics.threshold import best_threshold, held_out_accuracy
from mubench.reporting.evaluate import evaluate_row

METRICS = Catalogue().metrics

MIA = {"mia": METRICS["mia"]}


def attack(rows, **options):
    return evaluate_row(MIA, rows, options={"mia": options})


def values(rows, **options):
    return [r["mia"] for r in attack(rows, **options)]


def brute_force(members, nonmembers):
    """The definition, in exact arithmetic: quadratic."""
    best, at = Fraction(-1), None
    for v in sorted({*members, *nonmembers}):
        kept = Fraction(sum(m >= v for m in members), len(members))
        turned = Fraction(sum(n < v for n in nonmembers), len(nonmembers))
        if (kept + turned) / 2 > best:
            best, at = (kept + turned) / 2, v
    return at, best == Fraction(1, 2)


def of_scores(forget, retain, test, classes=2):
    """Outputs of class 0 only, with these confidences: of two classes it is z_0 - z_1."""

    def logits(scores):
        z = np.zeros((len(scores), classes), np.float32)
        z[:, 0] = scores
        return z

    sets = {"forget": forget, "retain": retain, "test": test}
    return Outputs(
        {k: logits(v) for k, v in sets.items()}, {k: np.zeros(len(v), np.int64) for k, v in sets.items()}
    )


@pytest.mark.parametrize("levels", [2, 5, 20, 10**6])
def test_the_threshold_is_the_brute_force_one_ties_included(levels):
    rng = np.random.default_rng(levels)
    degenerate = 0
    for _ in range(150):
        m = rng.integers(0, levels, rng.integers(1, 30)).astype(float)
        n = rng.integers(0, levels, rng.integers(1, 30)).astype(float)
        assert best_threshold(m, n) == brute_force(m.tolist(), n.tolist())
        degenerate += best_threshold(m, n)[1]
    assert 0 < degenerate < 150  # both outcomes were among the cases


def test_of_equally_good_thresholds_the_lowest():
    # 1 and 3 both reach (1/2 + 1) / 2 = (1 + 1/2) / 2.
    assert best_threshold(np.array([1.0, 3.0]), np.array([0.0, 2.0])) == (1.0, False)


def test_large_sets_do_not_overflow():
    m, n = np.arange(300_000.0), np.arange(300_000.0) - 100_000
    assert best_threshold(m, n) == (0.0, False)


def test_by_hand():
    rows = [of_scores([1, 4, 5, 9], retain=[5, 6, 7, 8], test=[1, 2, 3, 6])]
    # Threshold 5: members 4/4, non-members 3/4.
    assert values(rows) == [50.0]


@pytest.mark.parametrize("options", [{}, {"pool": False}, {"classwise": True}])
def test_forget_copied_from_members_0_from_nonmembers_100(model, options):
    o = model(lift=(0.0, 60.0, 0.0, 0.0))
    for source, expected in (("retain", 0.0), ("test", 100.0)):
        copied = Outputs({**o.logits, "forget": o.logits[source]}, {**o.labels, "forget": o.labels[source]})
        (result,) = attack([copied], **options)
        assert result["mia"] == expected
        # Held out, the lowest members of a class can fall below its threshold.
        assert result["mia_balanced_accuracy"] > 95.0
        assert result["mia_degenerate"] == 0.0


def test_all_scores_equal_everything_is_a_member_and_flagged():
    (result,) = attack([of_scores([2.0] * 5, [2.0] * 7, [2.0] * 9)])
    assert (result["mia"], result["mia_degenerate"]) == (0.0, 1.0)
    assert result["mia_balanced_accuracy"] == 50.0


def test_an_attack_worse_than_chance_is_flagged_too():
    (result,) = attack([of_scores([0.0, 3.0, 9.0], retain=[1.0, 2.0], test=[3.0, 4.0])])
    # Below the lowest shadow is still below the threshold.
    assert result["mia"] == pytest.approx(100 / 3)
    assert result["mia_degenerate"] == 1.0


@pytest.mark.parametrize("pool", [True, False])
def test_with_correctness_mia_is_ua(model, pool):
    rows = [model(seed=s, split=s) for s in range(4)]
    found = METRICS
    both = evaluate_row(
        {n: found[n] for n in ("ua", "ra", "ta", "mia")},
        rows,
        options={"mia": {"statistic": "correctness", "pool": pool}},
    )
    assert all(r["ra"] > r["ta"] for r in both)
    assert [r["mia"] for r in both] == [r["ua"] for r in both]
    assert len({r["ua"] for r in both}) > 1


def test_every_statistic_is_used_and_the_default_is_confidence(model):
    rows = [model()]
    got = {s: values(rows, statistic=s) for s in STATISTICS}
    assert len({tuple(v) for v in got.values()}) == len(STATISTICS)
    assert values(rows) == got["confidence"]


def test_an_unknown_statistic_names_the_nearest(model):
    with pytest.raises(ValueError, match=r"'modified_entropi'.*'modified_entropy'"):
        attack([model()], statistic="modified_entropi")


def test_pooling_fits_one_threshold_to_all_seeds_and_scores_each_seed(model):
    rows = [model(seed=s, split=s, lift=(s, 3.0 + s, 1.0, s)) for s in range(3)]
    m, n = (np.concatenate([confidence(*o.of(name)) for o in rows]) for name in ("retain", "test"))
    t, _ = brute_force(m.tolist(), n.tolist())
    expected = [100.0 * float((confidence(*o.of("forget")) < t).mean()) for o in rows]
    assert values(rows) == pytest.approx(expected)
    alone = [values([o])[0] for o in rows]
    assert values(rows, pool=False) == alone
    assert alone != pytest.approx(expected)


def test_classwise_thresholds_are_those_of_each_class(model):
    o = model(classes=3)
    scored = {name: (confidence(*o.of(name)), o.of(name)[1]) for name in ("forget", "retain", "test")}
    below = 0
    for c in range(3):
        f, m, n = (s[y == c] for s, y in scored.values())
        t, _ = brute_force(m.tolist(), n.tolist())
        below += int((f < t).sum())
    (result,) = attack([o], classwise=True)
    assert result["mia"] == pytest.approx(100 * below / 60)
    assert result["mia_fallback_classes"] == 0.0
    assert result["mia"] != values([o])[0]


def test_a_forgotten_class_falls_back_to_the_global_threshold(model):
    for lift in (0.0, 3.0, 20.0):
        o = model(forgotten=(2,), lift=(lift, 3.0, 1.0, 1.0))
        (result,) = attack([o], classwise=True)
        assert result["mia_fallback_classes"] == 1.0
        assert result["mia"] == values([o])[0]
    levels = [values([model(forgotten=(2,), lift=(up, 3.0, 1.0, 1.0))])[0] for up in (0.0, 3.0, 20.0)]
    assert levels[0] > levels[1] > levels[2] == 0.0


def test_a_class_without_nonmembers_falls_back_too(model):
    o = model(classes=3)
    kept = o.labels["test"] != 1
    parts = [{**part, "test": part["test"][kept]} for part in (o.logits, o.labels)]
    (result,) = attack([Outputs(*parts)], classwise=True)
    assert result["mia_fallback_classes"] == 1.0
    # Moving only class 1's forget images across the global threshold moves the result.
    for z, expected in ((50.0, 0.0), (-50.0, 100.0)):
        moved = z * np.eye(3, dtype=np.float32)[np.ones(10, int)]
        logits, labels = {**parts[0], "forget": moved}, {**parts[1], "forget": np.ones(10, np.int64)}
        assert values([Outputs(logits, labels)], classwise=True) == [expected]


def test_nonmembers_are_the_remaining_classes_only(model):
    o = model(forgotten=(2,))
    before = attack([o])
    test = {**o.logits, "test": o.logits["test"].copy()}
    test["test"][o.labels["test"] == 2] = 0.0
    assert attack([Outputs(test, o.labels, forgotten=(2,))]) == before


def test_with_100_classes_every_class_counts(model):
    o = model(classes=100, sizes=(100, 1500, 10, 1500))
    labels = {**o.labels, "forget": np.arange(100)}
    for gone in ([], [0], [9], [10], [11], [99], [3, 50, 98], range(100)):
        forget = 50.0 * np.eye(100, dtype=np.float32)  # surely members
        forget[gone] *= -1  # and now surely not
        rows = [Outputs({**o.logits, "forget": forget}, labels)]
        assert values(rows, classwise=True) == [len(gone)]


def test_strictly_monotone_maps_of_the_score_change_nothing():
    rng = np.random.default_rng(0)
    m, n, f = rng.normal(1, 1, 200), rng.normal(0, 1, 150), rng.normal(0.5, 1, 80)
    share = (f < best_threshold(m, n)[0]).mean()
    assert 0 < share < 1
    for g in (np.arctan, np.exp, lambda x: x**3, lambda x: 5 * x - 100):
        assert (g(f) < best_threshold(g(m), g(n))[0]).mean() == share
        y = np.zeros(200, np.int64)
        assert held_out_accuracy((g(m), y), (g(n), y[:150]), 1, False) == held_out_accuracy(
            (m, y), (n, y[:150]), 1, False
        )


@pytest.mark.parametrize("classwise", [False, True])
def test_on_identical_distributions_the_held_out_accuracy_is_chance(classwise):
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        sides = [(rng.normal(size=120), rng.integers(0, 3, 120)) for _ in range(2)]
        found.append(held_out_accuracy(*sides, 3, classwise)["balanced_accuracy"])
    # In-sample, the fitted threshold's advantage would be over 5 points here.
    assert abs(np.mean(found) - 50.0) < 1.5
    assert np.std(found) > 0.5


def test_held_out_accuracy_is_that_of_fresh_shadows():
    rng = np.random.default_rng(3)
    m, n = rng.normal(1.5, 1, 4000), rng.normal(0, 1, 4000)
    y = np.zeros(4000, np.int64)
    # Best possible for two unit normals 1.5 apart: Phi(0.75).
    found = held_out_accuracy((m, y), (n, y), 1, False)
    assert found["balanced_accuracy"] == pytest.approx(77.3, abs=1.0)
    # Both sides are right with this chance: p (1 - p) / 4000 each, and a quarter of their sum.
    assert found["balanced_accuracy_se"] == pytest.approx(100 * (0.773 * 0.227 / 8000) ** 0.5, rel=0.03)


def test_an_image_counts_once_in_the_error_however_many_models_saw_it():
    rng = np.random.default_rng(4)
    m, n = rng.normal(1.0, 1, 900), rng.normal(0, 1, 600)
    sides = (m, np.zeros(900, np.int64)), (n, np.zeros(600, np.int64))
    one, three = (held_out_accuracy(*sides, 1, False, seeds) for seeds in (1, 3))
    assert three["balanced_accuracy"] == one["balanced_accuracy"]
    assert three["balanced_accuracy_se"] == pytest.approx(3**0.5 * one["balanced_accuracy_se"])


def test_one_shadow_alone_cannot_be_held_out():
    (result,) = attack([of_scores([0.0], [1.0], [0.0, 0.5])])
    assert result == {"mia": 100.0, "mia_degenerate": 0.0, "mia_fallback_classes": 0.0}
