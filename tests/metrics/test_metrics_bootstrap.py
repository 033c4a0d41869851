"""The standard error of a pooled attack against a loop over the same draws, and against known truth."""

import numpy as np
import pytest
from scipy import stats

from mubench.discovery.find import Catalogue
from mubench.metrics._bootstrap import Grid, bootstrapped_error
from mubench.metrics._held_out import join
from mubench.metrics.threshold import best_threshold, fit
from mubench.reporting.evaluate import evaluate_row
from mubench.streams import numpy_stream

MIA = {"mia": Catalogue().metrics["mia"]}


def scored(rng, sizes, lift, classes=3, decimals=1):
    """Scores, with ties, and labels of several seeds."""
    return [
        (rng.normal(lift, 1, n).round(decimals), rng.integers(0, classes, n).astype(np.int64)) for n in sizes
    ]


@pytest.mark.parametrize("classwise", [False, True])
def test_weighted_fit_is_that_of_repeated_scores(classwise):
    rng = np.random.default_rng(0)
    scores, labels = join(scored(rng, [40], 0.0))
    groups = labels if classwise else np.zeros_like(labels)
    grid = Grid(scores, groups)
    for _ in range(50):
        sides = [rng.integers(40, size=25), rng.integers(40, size=30)]
        found, usable = grid.thresholds(*map(grid.count, sides))
        assert usable.all()
        for c, threshold in zip(grid.classes, found, strict=True):
            m, n = (scores[drawn][groups[drawn] == c] for drawn in sides)
            assert threshold == best_threshold(m, n)[0]


def by_loop(members, nonmembers, forget, classes, classwise, draws):
    """The same bootstrap by its definition: seeds, then shadows within them, and the attack fitted anew."""
    rng, n = numpy_stream(0, "mia", "bootstrap"), len(forget)
    members, nonmembers = (
        [(s[np.argsort(s, kind="stable")], y[np.argsort(s, kind="stable")]) for s, y in side]
        for side in (members, nonmembers)
    )
    means = []
    for _ in range(draws):
        seeds = rng.integers(n, size=n)
        sides = []
        for side in (members, nonmembers):
            sizes = [len(side[i][0]) for i in seeds]
            drawn = np.split(rng.integers(np.repeat(sizes, sizes)), np.cumsum(sizes)[:-1])
            sides.append(join([(side[i][0][d], side[i][1][d]) for i, d in zip(seeds, drawn, strict=True)]))
        attack = fit(*sides, classes, classwise)
        means.append(np.mean([attack.share(forget[i]) for i in seeds]))
    return np.std(means, ddof=1)


@pytest.mark.parametrize("classwise", [False, True])
def test_the_error_is_that_of_a_loop_over_the_same_draws(classwise):
    rng = np.random.default_rng(1)
    # in the order in which the bootstrap takes the seeds; a class is missing from small sides now and then
    members = sorted(scored(rng, [9, 12, 15], 1.0), key=lambda one: one[0].sum())
    nonmembers, forget = scored(rng, [8, 5, 11], 0.0), scored(rng, [6, 6, 7], 0.2)
    found = bootstrapped_error(members, nonmembers, forget, 3, classwise, draws=60)
    assert found == pytest.approx(by_loop(members, nonmembers, forget, 3, classwise, 60), rel=1e-12)
    assert found > 1


def test_one_seed_says_nothing_of_others(model):
    assert "mia_se" not in evaluate_row(MIA, [model()])[0]


def test_every_seed_is_told_the_same_error_which_holds_more_than_their_spread(model):
    rows = [model(seed=s, split=s, lift=(1.0, 1.6, 1.0, 1.0)) for s in range(5)]
    results = evaluate_row(MIA, rows)
    (error,) = {result["mia_se"] for result in results}
    values = [result["mia"] for result in results]
    assert error > np.std(values, ddof=1) / 5**0.5


def test_fitted_seed_by_seed_the_spread_is_the_error(model):
    results = evaluate_row(MIA, [model(seed=s) for s in range(4)], options={"mia": {"pool": False}})
    values = [result["mia"] for result in results]
    assert results[0]["mia_se"] == pytest.approx(np.std(values, ddof=1) / 2)


def drawn(rng, seeds, images, lift, width, effect, shared=0.7):
    """Members, non-members and forget of models that share their images.

    Of a score's variance the image has `shared`, the training run the rest; measured on the digits
    it is 0.63 to 0.82, by row. effect: the sd of what a run adds to all its scores. The forget set is like
    non-members.
    """
    pool, test = rng.normal(size=2 * images), rng.normal(size=images)
    parts = [], [], []
    for _ in range(seeds):
        order, run = rng.permutation(2 * images), effect * rng.normal()
        for part, image, at, sd in zip(
            parts,
            (pool[order[:images]], test, pool[order[images:]]),
            (lift, 0.0, 0.0),
            (1.0, width, width),
            strict=True,
        ):
            own = shared**0.5 * image + (1 - shared) ** 0.5 * rng.normal(size=images)
            part.append((at + sd * own + run, np.zeros(images, np.int64)))
    return parts


def true_mia(lift, width, effect):
    """The MIA of infinitely many seeds and images, in percent."""
    at = np.linspace(-6, 8, 140_001)
    member, other = np.hypot(1, effect), np.hypot(width, effect)
    gain = stats.norm.sf(at, lift, member) + stats.norm.cdf(at, 0, other)
    return 100 * stats.norm.cdf(at[gain.argmax()], 0, other)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [5, 10, 20])
@pytest.mark.parametrize("world", [(1.0, 1.0, 0.3), (0.5, 1.5, 0.1)])
def test_196_errors_cover_the_truth_in_92_to_98_percent(world, seeds):
    rng, truth, within = np.random.default_rng(2), true_mia(*world), []
    for _ in range(1000):
        members, nonmembers, forget = drawn(rng, seeds, 40, *world)
        attack = fit(join(members), join(nonmembers), 1, classwise=False)
        error = bootstrapped_error(members, nonmembers, forget, 1, classwise=False, draws=60)
        within.append(abs(np.mean([attack.share(f) for f in forget]) - truth) < 1.96 * error)
    assert 0.92 <= np.mean(within) <= 0.98
