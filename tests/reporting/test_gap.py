"""Avg. Gap and the noise floor's band, by hand and by enumeration."""

import itertools

import numpy as np
import pytest
from scipy import stats

from mubench.reporting.gap import avg_gap, floor_band, floor_quantile

NAMES = ("ua", "ra", "ta", "mia")


def cells(rng, seeds):
    return [dict(zip((*NAMES, "mia_svc"), rng.normal(50, 3, 5), strict=True)) for _ in range(seeds)]


def four(mia):
    return (*NAMES[:3], mia)


def mean_gap(first, second, mia="mia"):
    names = four(mia)
    means = [{n: np.mean([s[n] for s in side]) for n in names} for side in (first, second)]
    return avg_gap(*means, names)


def test_the_papers_arithmetic():
    retrain = dict.fromkeys(NAMES, 50.0)
    method = dict(zip(NAMES, (51.22, 49.13, 50.91, 44.19), strict=True))
    assert avg_gap(method, retrain) == pytest.approx(2.2025)


def test_the_attack_can_be_the_svc():
    a = {"ua": 1.0, "ra": 1.0, "ta": 1.0, "mia": 90.0, "mia_svc": 5.0}
    assert avg_gap(a, {**a, "mia_svc": 9.0}, four("mia_svc")) == 1.0
    assert avg_gap(a, {**a, "mia_svc": 9.0}) == 0.0


def test_a_missing_metric_is_an_error():
    with pytest.raises(KeyError, match="mia_svc"):
        avg_gap(dict.fromkeys(NAMES, 1.0), dict.fromkeys(NAMES, 1.0), four("mia_svc"))


@pytest.mark.parametrize("seeds", [1, 2, 3, 6])
@pytest.mark.parametrize("mia", ["mia", "mia_svc"])
def test_the_band_is_the_quantile_over_every_way_to_swap(seeds, mia):
    rng = np.random.default_rng(seeds)
    first, second = cells(rng, seeds), cells(rng, seeds)
    gaps = []
    for swap in itertools.product([False, True], repeat=seeds):
        pairs = [(b, a) if s else (a, b) for a, b, s in zip(first, second, swap, strict=True)]
        gaps.append(mean_gap([a for a, _ in pairs], [b for _, b in pairs], mia))
    for q in (0.95, 0.5):
        smallest = next(g for g in sorted(gaps) if sum(x <= g + 1e-12 for x in gaps) >= q * len(gaps))
        assert floor_band(first, second, four(mia), q) == pytest.approx(smallest)


def test_the_band_does_not_depend_on_who_is_first():
    rng = np.random.default_rng(0)
    first, second = cells(rng, 5), cells(rng, 5)
    assert floor_band(first, second) == pytest.approx(floor_band(second, first))
    mixed = [first[0], second[1], *first[2:]], [second[0], first[1], *second[2:]]
    assert floor_band(*mixed) == pytest.approx(floor_band(first, second))
    assert floor_band(first, second) >= mean_gap(first, second) * 0.5


def test_many_seeds_are_sampled_always_alike_and_close_to_the_whole():
    rng = np.random.default_rng(4)
    first, second = cells(rng, 14), cells(rng, 14)
    band = floor_band(first, second)
    assert band == floor_band(first, second)
    apart = np.array([[a[n] - b[n] for n in NAMES] for a, b in zip(first, second, strict=True)])
    signs = np.array(list(itertools.product([1, -1], repeat=14)))
    whole = np.quantile(np.abs(signs @ apart / 14).mean(axis=1), 0.95)
    assert band == pytest.approx(whole, rel=0.05)


def test_the_same_retrain_twice_leaves_no_band():
    same = cells(np.random.default_rng(1), 4)
    assert floor_band(same, same) == 0.0


def test_seeds_must_pair():
    two = cells(np.random.default_rng(1), 2)
    for first, second in ((two, two[:1]), ([], [])):
        with pytest.raises(ValueError, match="same seeds twice"):
            floor_band(first, second)


def retrains(rng, root, seeds, count):
    """Seeds that differ by much, and Retrains that differ by N(0, root' root) within them."""
    values = 50 + 10 * rng.normal(size=(seeds, 1, 4)) + rng.normal(size=(seeds, count, 4)) @ root
    return [[dict(zip(NAMES, one, strict=True)) for one in of_seed] for of_seed in values]


ALIKE, ONE = np.eye(4), np.diag([0.01, 0.0, 0.01, 3.0])
MIXED = np.array([[1.0, 0.1, 0.3, 1.5], [0, 0.1, 0.2, 0.1], [0, 0, 0.4, 0.5], [0, 0, 0, 2.5]])


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "count"), [(5, 3), (5, 5), (10, 3), (15, 4)])
@pytest.mark.parametrize("root", [ALIKE, ONE, MIXED], ids=["alike", "one", "mixed"])
def test_an_independent_retrain_exceeds_the_quantile_in_3_to_7_percent_of_trials(seeds, count, root):
    rng, over = np.random.default_rng(seeds), 0
    for _ in range(1000):
        drawn = retrains(rng, root, seeds, count + 1)
        of_rest = [s[:-1] for s in drawn]
        aims = [{n: np.mean([one[n] for one in s]) for n in NAMES} for s in of_rest]
        over += mean_gap([s[-1] for s in drawn], aims) > floor_quantile(of_rest)
    assert 30 <= over <= 70


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "count"), [(3, 3), (5, 3), (5, 5), (15, 4)])
def test_a_pooled_metric_whose_seeds_err_together_is_exceeded_in_3_to_7_percent_too(seeds, count):
    rng, over, blind = np.random.default_rng(seeds), 0, 0
    for _ in range(1000):
        together = rng.normal(size=count + 1) * 2.5
        drawn = [
            [{**one, "mia": one["mia"] + apart} for one, apart in zip(of_seed, together, strict=True)]
            for of_seed in retrains(rng, np.diag([0.5, 0.1, 0.4, 2.0]), seeds, count + 1)
        ]
        of_rest = [s[:-1] for s in drawn]
        aims = [{n: np.mean([one[n] for one in s]) for n in NAMES} for s in of_rest]
        gap = mean_gap([s[-1] for s in drawn], aims)
        over += gap > floor_quantile(of_rest, pooled=("mia",))
        blind += gap > floor_quantile(of_rest)
    assert 30 <= over <= 70
    assert blind > 100


def test_of_one_metric_alone_the_quantile_is_students():
    values = np.array([[1.0, 2.0, 6.0], [5.0, 5.0, 2.0]])
    of_seed = [[{"ua": v, "ra": 9.0} for v in s] for s in values]
    within = np.sqrt(((values - values.mean(axis=1, keepdims=True)) ** 2).sum() / 4)
    expected = stats.t.ppf(0.975, 4) * within * np.sqrt((1 + 1 / 3) / 2)
    assert floor_quantile(of_seed, ["ua"]) == pytest.approx(expected, rel=0.03)
    # a metric that never moves halves the mean and adds nothing
    assert floor_quantile(of_seed, ["ua", "ra"]) == pytest.approx(expected / 2, rel=0.03)


def test_the_quantile_knows_neither_the_seeds_level_nor_the_order_of_retrains():
    rng = np.random.default_rng(0)
    of_seed = retrains(rng, MIXED, 4, 3)
    expected = floor_quantile(of_seed)
    moved = [[{n: v + 7 * s for n, v in one.items()} for one in part] for s, part in enumerate(of_seed)]
    assert floor_quantile(moved) == pytest.approx(expected)
    assert floor_quantile([part[::-1] for part in of_seed][::-1]) == pytest.approx(expected)
    assert floor_quantile([[one, one, one] for one, *_ in of_seed]) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("counts", [(), (1, 1), (3, 2)])
def test_a_quantile_takes_equally_many_retrains_at_every_seed(counts):
    one = dict.fromkeys(NAMES, 1.0)
    with pytest.raises(ValueError, match="equally many Retrains at every seed"):
        floor_quantile([[one] * count for count in counts])
