"""Avg. Gap and the noise floor's band, by hand and by enumeration."""

import itertools

import numpy as np
import pytest

from mubench.reporting.gap import avg_gap, floor_band

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
