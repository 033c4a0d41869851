"""Paired comparisons against scipy and by hand."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from mubench.reporting.statistics import holm, paired_differences, paired_rows


def pairs(seeds, shift=0.3):
    rng = np.random.default_rng(seeds)
    return rng.normal(50 + shift, 1, seeds), rng.normal(50, 1, seeds)


@pytest.mark.parametrize("seeds", [2, 5, 12])
def test_mean_and_interval_are_those_of_the_paired_t_test(seeds):
    x, y = pairs(seeds)
    got, interval = paired_differences(x, y), stats.ttest_rel(x, y).confidence_interval(0.95)
    assert got.mean == pytest.approx(np.mean(x - y))
    assert (got.low, got.high) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize("seeds", [2, 5, 8])
def test_p_counts_the_signs_that_reach_as_far(seeds):
    x, y = pairs(seeds)
    sums = [np.dot(s, x - y) for s in itertools.product([1, -1], repeat=seeds)]
    reach = sum(abs(s) >= abs(sums[0]) - 1e-9 for s in sums)
    assert paired_differences(x, y).p == pytest.approx(reach / len(sums))


def test_five_seeds_cannot_go_below_one_sixteenth():
    assert paired_differences([9.0, 8.0, 9.5, 7.0, 8.5], [1.0] * 5).p == pytest.approx(0.0625)


def test_an_error_that_the_seeds_share_widens_the_interval_and_raises_both_p_values():
    x, y = pairs(12, shift=1.2)
    alone, shared = paired_differences(x, y, 2.0), paired_differences(x, y, 2.0, fit=0.5)
    error = math.sqrt(np.var(x - y, ddof=1) / 12 + 0.5)
    half = stats.t.ppf(0.975, 11) * error

    assert (shared.low, shared.high) == pytest.approx((alone.mean - half, alone.mean + half))
    assert shared.p == pytest.approx(2 * stats.t.sf(abs(alone.mean) / error, 11))
    assert shared.p > alone.p
    assert shared.p_equivalent == pytest.approx(stats.t.cdf((abs(alone.mean) - 2.0) / error, 11))


def test_beyond_exact_enumeration_p_is_the_same_every_time():
    x, y = pairs(20)
    assert paired_differences(x, y) == paired_differences(x, y)
    assert paired_differences(x, y).p == pytest.approx(stats.ttest_rel(x, y).pvalue, abs=0.05)


@pytest.mark.parametrize("margin", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("shift", [0.8, -0.8])
def test_equivalence_is_the_worse_of_two_one_sided_t_tests(margin, shift):
    x, y = pairs(6, shift)
    low = stats.ttest_1samp(x - y, -margin, alternative="greater").pvalue
    high = stats.ttest_1samp(x - y, margin, alternative="less").pvalue
    assert paired_differences(x, y, margin).p_equivalent == pytest.approx(max(low, high))


def test_differences_without_spread():
    inside = paired_differences([51.0, 61.0], [50.5, 60.5])
    assert (inside.mean, inside.low, inside.high, inside.p_equivalent) == (0.5, 0.5, 0.5, 0.0)
    assert paired_differences([52.0, 62.0], [50.0, 60.0]).p_equivalent == 1.0
    assert paired_differences([50.0, 60.0], [50.0, 60.0]).p == 1.0


def test_one_seed_has_a_difference_and_nothing_else():
    got = paired_differences([3.0], [5.0])
    assert got.mean == -2.0
    assert all(math.isnan(v) for v in (got.low, got.high, got.p, got.p_equivalent))


def test_what_cannot_be_paired_is_refused():
    for values, reference in (([1.0, 2.0], [1.0]), ([], [])):
        with pytest.raises(ValueError, match="same seeds"):
            paired_differences(values, reference)
    with pytest.raises(ValueError, match="margin"):
        paired_differences([1.0, 2.0], [1.0, 2.0], margin=0.0)


def test_holm_by_hand():
    # Sorted .01 .03 .04 .5 times 4 3 2 1 is .04 .09 .08 .5, made increasing.
    assert holm([0.04, 0.01, 0.5, 0.03]) == pytest.approx([0.09, 0.04, 0.5, 0.09])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("seeds", [4, 20])
def test_rows_tested_together_are_as_each_alone(seeds):
    rng = np.random.default_rng(3)
    rows = [
        (rng.normal(i, 2, n).tolist(), rng.normal(0, 2, n).tolist(), i / 9)
        for i in (0, 1)
        for n in (seeds, 3)
    ]

    assert paired_rows(rows, 2.0) == [paired_differences(x, y, 2.0, fit) for x, y, fit in rows]


def test_differences_that_cancel_on_paper_have_p_1():
    x = [0.1, 0.2, -0.3] * 6

    assert sum(x) != 0
    assert paired_differences(x, [0.0] * 18).p == 1.0
