"""MIA-SVC against scikit-learn called as the published code calls it, and who its shadows are."""

import numpy as np
import pytest
from sklearn.svm import SVC

from mubench.api.outputs import Outputs
from mubench.discovery.find import Catalogue
from mubench.metrics.svc import share_of_nonmembers
from mubench.reporting.evaluate import evaluate_row

METRICS = Catalogue().metrics

METRIC = {"mia_svc": METRICS["mia_svc"]}


def value(outputs):
    return evaluate_row(METRIC, [outputs])[0]["mia_svc"]


def published(outputs):
    """Softmax in float32, equally many shadows in stored order, one call of SVC."""

    def confidence(name):
        z, y = outputs.of(name)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return (e / e.sum(axis=1, keepdims=True))[np.arange(len(y)), y][:, None]

    retain, test = confidence("retain"), confidence("test")
    n = min(len(retain), len(test))
    clf = SVC(C=3, gamma="auto", kernel="rbf")
    clf.fit(np.concatenate([retain[:n], test[:n]]), np.repeat([1, 0], n))
    return 100.0 * np.mean(clf.predict(confidence("forget")) == 0)


@pytest.mark.parametrize("forgotten", [(), (1,)])
@pytest.mark.parametrize("lift", [(1.0, 3.0, 1.0, 1.0), (6.0, 14.0, 6.0, 6.0), (2.0, 2.2, 1.0, 2.0)])
@pytest.mark.parametrize("sizes", [(80, 700, 5, 300), (80, 200, 5, 500)], ids=["published", "small retain"])
def test_agrees_with_scikit_learn_called_directly(model, forgotten, lift, sizes):
    o = model(seed=5, lift=lift, sizes=sizes, forgotten=forgotten)
    assert value(o) == pytest.approx(published(o), abs=0.1)


@pytest.fixture
def overlapping():
    """Probabilities of members and non-members that overlap, and a grid on which boundaries show."""
    rng = np.random.default_rng(0)
    return rng.beta(2, 1, 300), rng.beta(1, 1, 300), np.linspace(0, 1, 4001)


def direct(members, nonmembers, targets, **changed):
    clf = SVC(**{"C": 3, "gamma": "auto", "kernel": "rbf", **changed})
    clf.fit(np.concatenate([members, nonmembers])[:, None], np.repeat([1, 0], len(members)))
    return 100.0 * np.mean(clf.predict(targets[:, None]) == 0)


def test_the_machine_is_this_one_and_no_other(overlapping):
    got = share_of_nonmembers(*overlapping)
    assert got == pytest.approx(direct(*overlapping), abs=0.1)
    for other in ({"C": 1}, {"C": 10}, {"gamma": "scale"}, {"kernel": "linear"}):
        assert got != pytest.approx(direct(*overlapping, **other), abs=0.1)


def test_the_order_of_shadows_does_not_move_the_boundary(overlapping):
    members, nonmembers, grid = overlapping
    got = share_of_nonmembers(*overlapping)
    orders = [np.random.default_rng(seed) for seed in range(8)]
    shuffled = [(g.permutation(members), g.permutation(nonmembers), grid) for g in orders]
    assert {share_of_nonmembers(*s) for s in shuffled} == {got}
    # Called directly, the solver stops elsewhere for some of these orders.
    assert len({direct(*s) for s in shuffled}) > 1


def test_the_cases_are_not_all_alike(model):
    found = {round(value(model(lift=(up, 8.0, 1.0, 1.0)))) for up in (0.0, 3.0, 8.0)}
    assert len(found) == 3


def test_forget_copied_from_members_0_from_nonmembers_100(model):
    o = model(lift=(0.0, 30.0, 0.0, -10.0))
    for source, expected in (("retain", 0.0), ("test", 100.0)):
        logits, labels = ({**part, "forget": part[source]} for part in (o.logits, o.labels))
        assert value(Outputs(logits, labels)) == expected


def test_members_are_the_first_of_retain_as_many_as_there_are_test_images(model):
    o = model(sizes=(60, 300, 5, 200))
    late, early = o.logits["retain"].copy(), o.logits["retain"].copy()
    late[200:] = 0.0
    early[:200] = 0.0
    assert value(Outputs({**o.logits, "retain": late}, o.labels)) == value(o)
    assert value(Outputs({**o.logits, "retain": early}, o.labels)) != value(o)


def test_a_small_retain_set_meets_as_many_test_images(model):
    o = model(sizes=(60, 150, 5, 400))
    changed = o.logits["test"].copy()
    changed[150:] = 0.0
    assert value(Outputs({**o.logits, "test": changed}, o.labels)) == value(o)
    changed[:150] = 0.0
    assert value(Outputs({**o.logits, "test": changed}, o.labels)) != value(o)


def test_in_class_forgetting_as_many_as_remaining_test_images(model):
    o = model(sizes=(60, 300, 5, 200), forgotten=(1,))
    n = len(o.of("test")[1])
    assert n < 200
    changed = o.logits["retain"].copy()
    changed[n:] = 0.0
    assert value(Outputs({**o.logits, "retain": changed}, o.labels, forgotten=(1,))) == value(o)
