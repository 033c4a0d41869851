"""MIA-SVC against scikit-learn called as the published code calls it, and who its shadows are."""

import numpy as np
import pytest
from sklearn.svm import SVC

from mubench.api.outputs import Outputs
from mubench.discovery.find import Catalogue
from mubench.metrics.svc import draw, share_of_nonmembers
from mubench.reporting.evaluate import evaluate_row

METRICS = Catalogue().metrics

METRIC = {"mia_svc": METRICS["mia_svc"]}


def value(outputs, **options):
    return evaluate_row(METRIC, [outputs], options={"mia_svc": options})[0]["mia_svc"]


def published(outputs, choose=lambda values, n: values[:n]):
    """Softmax in float32, equally many shadows (in stored order), one call of SVC."""

    def confidence(name):
        z, y = outputs.of(name)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return (e / e.sum(axis=1, keepdims=True))[np.arange(len(y)), y]

    retain, test = confidence("retain"), confidence("test")
    n = min(len(retain), len(test))
    return direct(choose(retain, n), choose(test, n), confidence("forget"))


@pytest.mark.parametrize("forgotten", [(), (1,)])
@pytest.mark.parametrize("lift", [(1.0, 3.0, 1.0, 1.0), (6.0, 14.0, 6.0, 6.0), (2.0, 2.2, 1.0, 2.0)])
@pytest.mark.parametrize("sizes", [(80, 700, 5, 300), (80, 200, 5, 500)], ids=["published", "small retain"])
def test_agrees_with_scikit_learn_called_directly(model, forgotten, lift, sizes):
    o = model(seed=5, lift=lift, sizes=sizes, forgotten=forgotten)
    assert value(o, stored_order=True) == pytest.approx(published(o), abs=0.1)


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


def test_every_class_gives_its_share_and_every_size_its_own():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [500, 300, 101])
    values = labels + rng.permutation(901) / 901
    for start in (0.0, 0.4, 0.999):
        got = draw(values, labels, 90, start)
        assert len(set(got)) == 90
        counts = np.bincount(got.astype(int))
        assert np.abs(counts - 90 * np.array([500, 300, 101]) / 901).max() < 1
        # of ten neighbours in size one is drawn, so a tenth of each class's quarter, and the next
        lower = np.sort(values[labels == 0])[:250]
        assert np.isin(got, lower).sum() == pytest.approx(25, abs=1)
    assert (np.sort(draw(values, labels, 901, 0.7)) == np.sort(values)).all()


def test_over_all_starts_each_is_drawn_equally_often():
    rng = np.random.default_rng(1)
    values, labels = rng.random(70), rng.integers(0, 3, 70)
    drawn = np.concatenate([draw(values, labels, 30, start) for start in (np.arange(700) + 0.5) / 700])
    _, counts = np.unique(drawn, return_counts=True)
    assert len(counts) == 70
    assert np.abs(counts / 700 - 30 / 70).max() < 0.01


@pytest.mark.parametrize("sizes", [(900, 2000, 5, 400), (900, 400, 5, 2000)], ids=["retain", "test"])
def test_the_draw_stands_for_what_any_draw_gives_on_average(model, sizes):
    o = model(sizes=sizes)
    rng = np.random.default_rng(0)
    drawn = [published(o, lambda values, n: rng.permutation(values)[:n]) for _ in range(20)]
    assert value(o) == pytest.approx(np.mean(drawn), abs=np.std(drawn))


def test_data_sorted_by_class_give_what_shuffled_ones_give(model):
    """With easy and hard classes, the first n of retain would be another attack."""
    o = model(sizes=(200, 900, 5, 200))
    labels, logits = o.labels["retain"], o.logits["retain"].copy()
    logits[np.arange(900), labels] += 2.0 * labels
    one, two = (
        Outputs({**o.logits, "retain": logits[at]}, {**o.labels, "retain": labels[at]})
        for at in (np.arange(900), np.argsort(labels, kind="stable"))
    )
    assert value(one) == value(two)
    assert abs(value(one, stored_order=True) - value(two, stored_order=True)) > 3


def test_in_class_forgetting_as_many_as_remaining_test_images(model):
    o = model(sizes=(60, 300, 5, 200), forgotten=(1,))
    gone = o.labels["test"] == 1
    changed = np.where(gone[:, None], 0.0, o.logits["test"]).astype(np.float32)
    assert value(Outputs({**o.logits, "test": changed}, o.labels, forgotten=(1,))) == value(o)
