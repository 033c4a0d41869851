"""What is measured beside Original and further Retrains, and two scores of unlearning: known answers."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from mubench.api.outputs import Outputs
from mubench.discovery.find import Catalogue
from mubench.metrics import iam, rmia
from mubench.metrics.nomus import regressions, told_apart
from mubench.reporting.evaluate import evaluate_row

METRICS = Catalogue().metrics
MEMBER, RETRAINED = (3.0, 3.0, 1.0, 1.0), (1.0, 3.0, 1.0, 1.0)
SIZES = (300, 300, 300, 300)


def value(name, row, **beside):
    return evaluate_row({name: METRICS[name]}, [row], **{k: [v] for k, v in beside.items()})[0]


def softmax(logits):
    e = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_activation_distance_by_hand():
    def outputs(z):
        sets = ("forget", "retain", "test")
        return Outputs(dict.fromkeys(sets, np.float32(z)), dict.fromkeys(sets, np.zeros(2, np.int64)))

    one, other = outputs([[0, 0], [5000, 0]]), outputs([[0, 0], [0, 5000]])
    got = value("activation", one, references=other)
    assert got["activation_forget"] == pytest.approx(100 * math.sqrt(2) / 2)
    assert value("activation", one, references=one)["activation_test"] == 0.0


def test_rf_jsd_is_scipys_of_the_class_means(model):
    row, original = model(seed=1), model(seed=2, lift=MEMBER)
    forget, unseen = row.labels["forget"], original.labels["test"]
    apart = []
    for c in range(4):
        mine = softmax(row.logits["forget"])[forget == c].mean(axis=0)
        theirs = softmax(original.logits["test"])[unseen == c].mean(axis=0)
        apart.append(100 * jensenshannon(mine, theirs, base=2) ** 2)
    assert value("rf_jsd", row, originals=original)["rf_jsd"] == pytest.approx(np.mean(apart))


def test_rf_jsd_is_0_for_a_model_that_sees_forget_as_the_original_sees_test(model):
    o = model(sizes=(200, 150, 40, 200))
    copied = Outputs({**o.logits, "forget": o.logits["test"]}, {**o.labels, "forget": o.labels["test"]})
    assert value("rf_jsd", copied, originals=o)["rf_jsd"] == pytest.approx(0.0, abs=1e-9)


def test_rf_jsd_of_a_class_that_test_lacks_is_absent(model):
    o = model(forgotten=(1,))
    assert 1 in o.labels["forget"]
    assert value("rf_jsd", o, originals=o).keys() <= {"rf_jsd"}
    kept = o.labels["test"] != 1
    without = Outputs(
        {**o.logits, "test": o.logits["test"][kept]}, {**o.labels, "test": o.labels["test"][kept]}
    )
    assert value("rf_jsd", without, originals=without) == {}


def test_nomus_of_a_model_that_treats_both_alike_is_the_mean_of_accuracy_and_1(model):
    found = [value("nomus", model(seed=s, split=s, sizes=SIZES, lift=(2.0,) * 4)) for s in range(20)]
    assert np.mean([f["nomus_attack"] for f in found]) == pytest.approx(50, abs=1)


@pytest.mark.parametrize("lift", [(30.0, 3.0, 1.0, -30.0), (-30.0, 3.0, 1.0, 30.0)], ids=["member", "over"])
def test_nomus_of_what_is_told_apart_for_sure_is_half_the_accuracy(model, lift):
    o = model(sizes=SIZES, lift=lift)
    got = value("nomus", o)
    assert got["nomus_attack"] > 99.0
    ta = 100.0 if lift[3] > 0 else 0.0
    assert got["nomus"] == pytest.approx(ta / 2 + (100 - got["nomus_attack"]))


@pytest.mark.parametrize(("scale", "apart"), [(1.0, 1.0), (0.01, 0.0), (1000.0, 3.0), (1.0, 40.0)])
def test_the_regressions_of_nomus_are_scikit_learns(scale, apart):
    rng = np.random.default_rng(3)
    x = scale * np.concatenate([rng.exponential(1, 150), apart + rng.exponential(1, 90)])
    y = np.arange(240) >= 150
    used = rng.random((10, 240)) < 0.9

    for slopes, fold in zip(regressions(x, y, used), used, strict=True):
        fit = LogisticRegression(class_weight="balanced", solver="newton-cholesky", tol=1e-10, max_iter=500)
        fit.fit(x[fold, None], y[fold])
        theirs, ours = fit.decision_function(x[:, None]), slopes[0] + slopes[1] * x
        assert np.abs(expit(ours) - expit(theirs)).max() < 1e-3


def test_the_attack_of_nomus_weighs_both_sides_alike():
    rng = np.random.default_rng(0)
    small, large = rng.normal(0, 1, 200), rng.normal(2, 1, 4000)
    # of two unit normals two apart the best threshold errs with the tail beyond 1
    assert told_apart(small, large) == pytest.approx(stats.norm.cdf(1), abs=0.03)


def brute_rmia(row, retrains, a=0.33, gamma=2.0, temperature=2.0):
    """Scores by set: every pair of an image and one of the population."""

    def p(o, name):
        z, y = o.logits[name].astype(np.float64) / temperature, o.labels[name]
        at = np.arange(len(y))
        z[at, y] -= 0.6
        return softmax(z)[at, y]

    def ratio(name):
        out = np.mean([p(o, name) for o in retrains], axis=0)
        return p(row, name) / (0.5 * ((1 + a) * out + 1 - a))

    z = ratio("val")
    return {s: (ratio(s)[:, None] / z[None] > gamma).mean(axis=1) for s in ("forget", "test")}


def test_rmia_is_the_count_over_every_pair(model):
    row, retrains = model(seed=0, sizes=SIZES, lift=MEMBER), [model(seed=s, sizes=SIZES) for s in (1, 2)]
    scores, y = brute_rmia(row, retrains, gamma=1.2), row.labels
    forget, test = scores["forget"], scores["test"]
    total = 0.0
    for c in range(4):
        mine, theirs = forget[y["forget"] == c, None], test[None, y["test"] == c]
        total += len(mine) * ((mine > theirs) + 0.5 * (mine == theirs)).mean()
    spec = {"rmia": METRICS["rmia"]}
    beside = {"originals": [row], "retrains": [retrains]}
    (got,) = evaluate_row(spec, [row], options={"rmia": {"gamma": 1.2}}, **beside)
    assert got["rmia"] == pytest.approx(100 * total / len(forget))


def test_rmia_knows_members_and_does_not_know_retrained_ones(model):
    retrains = [model(seed=s, sizes=SIZES, lift=RETRAINED) for s in (1, 2)]
    means = {}
    for kind, lift in (("member", MEMBER), ("retrained", RETRAINED)):
        rows = [model(seed=s, sizes=SIZES, lift=lift) for s in range(10, 30)]
        beside = {"originals": rows, "retrains": [retrains] * len(rows)}
        got = evaluate_row({"rmia": METRICS["rmia"]}, rows, **beside)
        means[kind] = np.mean([g["rmia"] for g in got])
    assert means["retrained"] == pytest.approx(50, abs=1.5)
    assert means["member"] > 65


def test_no_image_that_rmia_attacks_is_in_its_population(model):
    """Test images may change without any other test image's score; validation images are the measure."""
    row, retrains = model(seed=0, lift=MEMBER), [model(seed=1)]
    before = rmia.ratios(row, retrains, "val", 0.33, 2.0)
    changed = Outputs({**row.logits, "test": -row.logits["test"]}, row.labels)
    assert (rmia.ratios(changed, retrains, "val", 0.33, 2.0) == before).all()
    logits, labels = ({k: v for k, v in d.items() if k != "val"} for d in (row.logits, row.labels))
    assert value("rmia", Outputs(logits, labels), originals=row, retrains=retrains) == {}


def published_iam(original, unlearned, shadows):
    """Step by step, with scipy's Gumbel and the standard deviation of what was interpolated."""
    total, weights = np.zeros(len(unlearned)), 0.0
    alphas = np.linspace(0, 1, 100)
    for alpha, weight in itertools.pairwise(alphas):
        between = shadows + (original - shadows) * alpha
        scale = np.sqrt(6) * np.std(between) / np.pi
        total += weight * stats.gumbel_r.cdf(unlearned, between.mean(axis=0) - scale * 0.5772, scale)
        weights += weight
    return 1 - total / weights


@pytest.mark.parametrize("count", [1, 3])
def test_iam_is_the_published_score(count):
    rng = np.random.default_rng(count)
    original, unlearned, shadows = rng.beta(5, 1, 200), rng.beta(2, 1, 200), rng.beta(2, 2, (count, 200))
    expected = published_iam(original, unlearned, shadows)
    np.testing.assert_allclose(iam.scores(unlearned, original, shadows), expected, atol=1e-9)


def test_iams_signal_runs_from_0_to_1_and_its_logs_are_the_published_ones():
    p = np.array([0.0, 0.3, 1.0])
    raw = -np.log(1e-2 - np.log(1e-5 + p))
    assert iam.signal(p) == pytest.approx((raw - raw[0]) / (raw[2] - raw[0]))


def test_iam_orders_original_half_way_and_retrain(model):
    at = {"originals": model(seed=0, sizes=SIZES, lift=(8.0, 8.0, 1.0, 1.0))}
    at["retrains"] = [model(seed=s, sizes=SIZES, lift=RETRAINED) for s in (1, 2)]
    rows = [at["originals"], *(model(seed=9, sizes=SIZES, lift=(up, 3.0, 1.0, 1.0)) for up in (4.0, 1.0))]
    got = [value("iam", row, **at) for row in rows]
    found = [g["iam"] for g in got]
    assert found == sorted(found)
    assert found[2] - found[0] > 20
    assert {g["iam_original"] for g in got} == {found[0]}


def test_a_model_of_other_images_is_refused(model):
    row, other = model(split=0), model(split=1)
    with pytest.raises(ValueError, match="other forget images"):
        value("iam", row, originals=row, retrains=[other])
    with pytest.raises(ValueError, match="other val images"):
        value("rmia", row, originals=row, retrains=[other])


def test_auc_against_retain_is_that_of_forget_copied_to_test(model):
    o = model(lift=RETRAINED)
    swapped = ({**part, "test": part["retain"]} for part in (o.logits, o.labels))
    assert value("auc", o)["auc_against_retain"] == value("auc", Outputs(*swapped))["auc"]
    assert value("auc", o)["auc_against_retain"] < 30
    assert "auc_against_retain" not in value("auc", model(forgotten=(1,)))
