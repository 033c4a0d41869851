"""Differences of Avg. Gaps and ranks with ties, against closed forms and simulations with known truth."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mubench.reporting.ranking import compare_gaps, rank, rank_texts
from mubench.reporting.target import Targets, side_by_side, signed

BOTH_SIGNS = np.array([3.0, -5.0, 4.0, 6.0])


def frames(**rows):
    return {name: pd.DataFrame(values) for name, values in rows.items()}


def test_far_from_0_it_is_the_paired_t_interval_of_the_mean_size():
    rng = np.random.default_rng(0)
    first = BOTH_SIGNS[:2] + 0.1 * rng.normal(size=(7, 2))
    second = -BOTH_SIGNS[:2] + 0.1 * rng.normal(size=(7, 2))

    found = compare_gaps(first, second)

    test = stats.ttest_rel(np.abs(first).mean(1), np.abs(second).mean(1))
    between = test.confidence_interval(0.95)
    assert found.difference == pytest.approx(np.abs(first).mean() - np.abs(second).mean())
    assert (found.low, found.high) == pytest.approx((between.low, between.high))
    assert found.p == pytest.approx(test.pvalue)
    assert found.seeds == 7


def test_the_difference_is_that_of_gaps_of_means_also_where_signs_change_from_seed_to_seed():
    rng = np.random.default_rng(1)
    first, second = rng.normal(0, 1, (6, 4)), rng.normal(0.3, 1, (6, 4))

    found = compare_gaps(first, second)

    gaps = [np.abs(rows.mean(0)).mean() for rows in (first, second)]
    assert found.difference == pytest.approx(gaps[0] - gaps[1])
    assert found.low < found.difference < found.high


def test_an_error_that_all_seeds_share_widens_the_interval():
    rng = np.random.default_rng(4)
    first, second = BOTH_SIGNS + 0.1 * rng.normal(size=(9, 4)), 2 * BOTH_SIGNS + 0.1 * rng.normal(size=(9, 4))
    alone, shared = compare_gaps(first, second), compare_gaps(first, second, fit=2.0)

    values = np.abs(first).mean(1) - np.abs(second).mean(1)
    error = math.sqrt(values.var(ddof=1) / 9 + 2.0)
    half = stats.t.ppf(0.975, 8) * error
    assert shared.difference == alone.difference
    assert (shared.low, shared.high) == pytest.approx((values.mean() - half, values.mean() + half))
    assert shared.p == pytest.approx(2 * stats.t.sf(abs(values.mean()) / error, 8))
    assert rank_texts(frames(a=first, b=second)) == {"a": "1", "b": "2"}
    for unsure in (100.0, math.nan):  # an error too large, or not known, tells nothing apart
        assert rank_texts(frames(a=first, b=second), {"a": unsure, "b": 0.0}) == {"a": "1-2", "b": "1-2"}
    assert math.isnan(compare_gaps(first, second, fit=math.nan).p)


def test_near_0_each_end_takes_off_the_bias_of_the_gap_it_takes_for_the_larger():
    noise = np.array([-1.0, 1.0, -1.0, 1.0])[:, None]
    error = math.sqrt(4 / 3 / 4)
    found = compare_gaps(noise, 5.0 + 0 * noise)

    # the mean is 0: |mean| is too large by sqrt(2 / pi) standard errors; the second row is far from 0
    assert found.difference == -5.0
    assert found.low == pytest.approx(-5.0 - math.sqrt(2 / math.pi) * error)
    assert found.high == pytest.approx(-5.0)


def test_swapped_the_signs_turn():
    rng = np.random.default_rng(2)
    first, second = rng.normal(0, 1, (5, 3)), rng.normal(1, 1, (5, 3))
    one, other = compare_gaps(first, second), compare_gaps(second, first)

    assert (one.difference, one.low, one.high) == pytest.approx((-other.difference, -other.high, -other.low))
    assert one.p == pytest.approx(other.p)


def test_p_is_below_5_percent_where_the_interval_leaves_out_0():
    rng = np.random.default_rng(3)
    found = [compare_gaps(rng.normal(0.8, 1, (8, 2)), rng.normal(0, 1, (8, 2))) for _ in range(200)]

    inside = [one.low <= 0 <= one.high for one in found]
    assert [one.p >= 0.05 for one in found] == inside
    assert 10 < sum(inside) < 190


def test_the_same_row_under_two_names_is_not_apart_whatever_the_rounding():
    values = np.array([[80.1, 3.0], [81.3, 3.0], [79.7, 3.0]])
    mirrored = compare_gaps(values - 79.1, -(values - 79.1) + 1e-13)

    assert compare_gaps(values, values).p == 1.0
    assert mirrored.p == 1.0
    assert compare_gaps(np.ones((4, 2)), np.full((4, 2), 2.0)).p == 0.0


def test_one_seed_has_no_interval():
    found = compare_gaps(np.ones((1, 2)), np.zeros((1, 2)))

    assert (found.seeds, found.difference) == (1, 1.0)
    assert all(math.isnan(value) for value in (found.low, found.high, found.p))
    assert not found.apart


@pytest.mark.parametrize("shapes", [((3, 2), (4, 2)), ((3, 2), (3, 3)), ((0, 2), (0, 2))])
def test_pairs_need_the_same_seeds_and_metrics(shapes):
    with pytest.raises(ValueError, match="the same seeds and metrics"):
        compare_gaps(*map(np.zeros, shapes))


def test_a_row_between_two_that_differ_shares_ranks_with_both():
    wave = np.array([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0])[:, None]
    rows = frames(
        a=5 + 0.01 * wave, between=5.6 + 0.9 * wave, c=6 - 0.01 * wave, far=9 + 0.01 * np.roll(wave, 1)
    )

    # b's noise hides its difference from a and c, while a and c differ by a hundred times theirs
    assert rank(rows) == {"a": (1, 2), "between": (1, 3), "c": (2, 3), "far": (4, 4)}
    assert rank_texts(rows) == {"a": "1-2", "between": "1-3", "c": "2-3", "far": "4"}


def test_pairs_share_their_seeds_and_too_few_tell_nothing():
    values = np.array([[1.0], [1.1], [0.9], [1.0]])
    rows = frames(a=values, b=values + 5)
    assert rank_texts(rows) == {"a": "1", "b": "2"}

    assert rank_texts({"a": rows["a"], "b": rows["b"].iloc[:2]}) == {"a": "1-2", "b": "1-2"}
    assert rank_texts({"a": rows["a"].iloc[:1], "b": rows["b"].iloc[1:]}) == {"a": "1-2", "b": "1-2"}
    assert rank_texts({"a": rows["a"]}) == rank_texts({}) == {}


def test_differences_are_to_the_retrain_of_the_same_seed(make):
    cells = pd.DataFrame(
        [
            make("Retrain", "reference", 1, [20, 90, 80, 20, 20]),
            make("Retrain", "reference", 0, [10, 90, 80, 20, 20]),
            make("FT", "method", 0, [13, 90, 80, 20, 20]),
            make("FT", "method", 1, [19, 95, 80, 20, 24]),
            make("FT", "method", 2, [19, 95, 80, 20, 24]),
            make("GA", "method", 0, [], status="FAILED"),
        ]
    )
    found = signed(cells, ["ua", "ra"], Targets(("Retrain",)))

    assert set(found) == {"Retrain", "FT"}
    assert found["FT"].to_dict("index") == {0: {"ua": 3, "ra": 0}, 1: {"ua": -1, "ra": 5}}


def test_of_three_retrains_each_is_compared_with_the_others(make):
    rows = {"Retrain": ("reference", 10), "b": ("floor", 13), "c": ("floor", 16), "FT": ("method", 14)}
    cells = pd.DataFrame([make(name, role, 0, [ua, 9, 8, 2, 2]) for name, (role, ua) in rows.items()])
    found = signed(cells, ["ua"], Targets(("Retrain", "b", "c")))

    assert {name: frame.loc[0, "ua"] for name, frame in found.items()} == {
        "Retrain": -4.5,
        "b": 0.0,
        "c": 4.5,
        "FT": 1.0,
    }


def test_side_by_side_keeps_what_all_blocks_have():
    cat, dog = frames(a=np.ones((3, 2)), b=np.ones((3, 2))), frames(a=np.zeros((2, 2)))
    (name, joined), *more = side_by_side([cat, dog]).items()

    assert (name, more) == ("a", [])
    assert joined.to_numpy().tolist() == [[1, 1, 0, 0], [1, 1, 0, 0]]


def simulated(rng, truth, seeds, noise=0.7):
    """Signed differences (rows, seeds, metrics) around the truth (rows, metrics), with Retrain's noise."""
    shared = rng.normal(0, noise, (1, seeds, truth.shape[1]))
    return truth[:, None] + rng.normal(0, 1, (len(truth), seeds, truth.shape[1])) + shared


# rows whose gaps are all 1, however it is spread over the metrics: 0 is where |mean| is biased
EQUAL = [[0, 0, 0, 4], [1, 1, 1, 1], [-1, 2, 0, 1], [1, -1, 1, 1]]


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [5, 20])
@pytest.mark.parametrize("truth", [EQUAL[:2], EQUAL], ids=["two", "four"])
def test_rows_with_equal_gaps_are_told_apart_in_5_percent_of_tables(truth, seeds):
    rng = np.random.default_rng(0)
    truth = np.array(truth, float)
    wrong = 0
    for _ in range(1000):
        found = rank(frames(**{f"r{i}": one for i, one in enumerate(simulated(rng, truth, seeds))}))
        wrong += any(of != (1, len(truth)) for of in found.values())

    # 5 % of 1,000 tables, and two standard deviations of such a count
    assert wrong <= 64


@pytest.mark.slow
def test_a_clearly_smaller_gap_is_found():
    rng = np.random.default_rng(0)
    truth = np.array([[0.5, 0.5, 0.5, 0.5], *([[2.0, -2.0, 2.0, 2.0]] * 5)])
    found = [
        rank(frames(**{f"r{i}": one for i, one in enumerate(simulated(rng, truth, 20))})) for _ in range(100)
    ]

    assert sum(one["r0"] == (1, 1) for one in found) >= 95


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (EQUAL[0], EQUAL[1]),
        ([1, 1.4, 1.1, 1.3], [1.2, 0.1, 0.2, 1.9]),
        ([3, 2, 2, 5], [4, -3, 2, 6]),
        (10 * EQUAL[0], 10 * EQUAL[1]),  # ten classes
    ],
    ids=["one metric against all", "close", "far", "classes"],
)
@pytest.mark.parametrize("seeds", [5, 20])
def test_the_interval_covers(first, second, seeds):
    rng = np.random.default_rng(1)
    truth = np.array([first, second], float)
    gap = np.abs(truth).mean(1)
    found = [compare_gaps(*simulated(rng, truth, seeds)) for _ in range(2000)]

    covered = np.mean([one.low <= gap[0] - gap[1] <= one.high for one in found])
    assert 0.935 <= covered <= 0.98
