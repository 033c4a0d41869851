"""KLoM against a loop over images, with known divergences, and only where there is enough of it."""

import numpy as np
import pytest

from mubench.discovery.find import Catalogue
from mubench.metrics import klom
from mubench.metrics.klom import BINS, FEWEST_RETRAINS, FEWEST_RUNS, LEAST, divergences
from mubench.reporting.evaluate import evaluate_row

KLOM = {"klom": Catalogue().metrics["klom"]}


def by_hand(p, q):
    """KL of one image's histograms, numpy's."""
    edges = np.linspace(min(p.min(), q.min()), max(p.max(), q.max()), BINS + 1)
    p, q = (np.histogram(x, edges)[0] / len(x) for x in (p, q))
    return sum(a * np.log(a / max(b, LEAST)) for a, b in zip(p, q, strict=True) if a)


def test_the_divergences_are_those_of_numpys_histograms():
    rng = np.random.default_rng(0)
    p, q = rng.normal(0.5, 1, (30, 40)), rng.normal(0, 1, (70, 40))

    expected = [by_hand(p[:, i], q[:, i]) for i in range(40)]
    np.testing.assert_allclose(divergences(p, q), expected, rtol=1e-9)


def test_known_divergences():
    rng = np.random.default_rng(0)
    one, far = rng.normal(size=(20_000, 2)), rng.normal(1.0, 1, (20_000, 2))

    assert divergences(one, one) == pytest.approx(0.0, abs=1e-12)
    # of normal margins a standard deviation apart, 1/2; bins lose a little
    assert divergences(far, one) == pytest.approx(0.49, abs=0.03)
    # nothing in common: all of p where q has its least
    assert divergences(one - 90, one + 90) == pytest.approx(-np.log(LEAST), rel=0.35)
    assert divergences(np.full((3, 1), 7.0), np.full((4, 1), 7.0)) == pytest.approx(0.0)
    # beyond the clip all margins are one
    assert divergences(np.full((3, 1), 500.0), np.full((4, 1), 900.0)) == pytest.approx(0.0)


def test_the_bias_that_the_docstring_tells_of():
    rng = np.random.default_rng(0)
    bias = {
        n: divergences(rng.normal(size=(n, 500)), rng.normal(size=(n, 500))).mean() for n in (20, 50, 100)
    }

    assert bias == {
        20: pytest.approx(3.06, abs=0.2),
        50: pytest.approx(0.89, abs=0.1),
        100: pytest.approx(0.36, abs=0.05),
    }


@pytest.fixture
def many(model):
    """`many(count, lift=..., split=0)`: models that differ by their training alone, from another seed on."""

    def make(count, first=0, **extra):
        return [model(seed=first + s, sizes=(20, 30, 10, 25), **extra) for s in range(count)]

    return make


def row(models, retrains, each):
    by_seed = [retrains[i * each : (i + 1) * each] for i in range(len(models))]
    return evaluate_row(KLOM, models, models, originals=models, retrains=by_seed)


def test_it_tells_models_that_know_the_forget_set_from_those_that_do_not(many):
    retrains = many(100, 1000)
    alike = row(many(20), retrains, 5)
    knowing = row(many(20, lift=(4.0, 3.0, 1.0, 1.0)), retrains, 5)

    assert alike == [alike[0]] * 20
    assert set(alike[0]) == {"klom", "klom_p95", "klom_retain", "klom_test"}
    assert knowing[0]["klom"] > alike[0]["klom"] + 1
    assert knowing[0]["klom_test"] == alike[0]["klom_test"]
    assert alike[0]["klom"] <= alike[0]["klom_p95"]
    # the order of the runs does not matter
    assert row(many(20)[::-1], retrains[::-1], 5)[0] == pytest.approx(alike[0])


def test_without_enough_runs_on_one_forget_set_there_is_none(many):
    assert (FEWEST_RUNS, FEWEST_RETRAINS) == (20, 100)
    assert row(many(19), many(19 * 6, 1000), 6) == [{}] * 19
    assert row(many(20), many(80, 1000), 4) == [{}] * 20
    other = [*many(19), *many(1, 19, split=1)]
    retrains = [*many(95, 1000), *many(5, 1095, split=1)]
    assert row(other, retrains, 5) == [{}] * 20
    assert klom.klom([], [], []) == []
