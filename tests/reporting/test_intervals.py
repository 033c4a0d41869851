"""Coverage of the interval of Avg. Gap, in tables whose truth is known."""

import numpy as np
import pytest
from scipy import stats

from mubench.reporting.intervals import gap_interval

SD = np.array([1.0, 0.3, 0.6, 2.0])
CORRELATION = np.array([[1, 0.2, 0.4, 0.6], [0.2, 1, 0.2, 0.1], [0.4, 0.2, 1, 0.3], [0.6, 0.1, 0.3, 1]])
ROOT = np.linalg.cholesky(CORRELATION * np.outer(SD, SD))
TRUTHS = {
    "none": [0, 0, 0, 0],
    "one": [0, 0, 0, 5],
    "two": [0, 2, 0, 6],
    "moderate": [1, 0.3, 0.6, 2],
    "far": [4, -2, 1, 15],
    "small": [0.5, 0.1, -0.3, 0.6],
    "equal": [1.5, 1.5, 1.5, 1.5],
}


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [5, 10, 20])
@pytest.mark.parametrize("truth", TRUTHS)
def test_covers_in_92_to_98_percent(truth, seeds):
    rng = np.random.default_rng(11)
    gap = np.abs(TRUTHS[truth]).mean()
    found = [gap_interval(TRUTHS[truth] + rng.normal(size=(seeds, 4)) @ ROOT.T) for _ in range(1000)]
    missed = sum(not one.low <= gap <= one.high for one in found)
    assert 20 <= missed <= 80


def test_by_hand_with_one_metric():
    x = np.array([5.0, 6.0, 7.0, 6.5, 5.5])[:, None]
    got = gap_interval(x)
    assert got.value == pytest.approx(6.0)
    assert got.high == pytest.approx(6 + stats.t.ppf(0.98, 4) * stats.sem(x[:, 0]))
    assert got.low == pytest.approx(6 - stats.t.ppf(0.97, 4) * stats.sem(x[:, 0]), abs=0.08)


def test_no_spread_no_width_and_few_seeds_no_interval():
    exact = gap_interval(np.tile([1.0, -2.0], (5, 1)))
    assert (exact.low, exact.value, exact.high) == pytest.approx((1.5, 1.5, 1.5))
    same = gap_interval(np.zeros((5, 4)))
    assert (same.low, same.value, same.high) == (0, 0, 0)
    assert np.isnan(gap_interval(np.ones((2, 4))).low)


def test_an_error_beyond_the_spread_widens_and_a_smaller_one_does_not():
    x = np.random.default_rng(0).normal([1, 0, 0, 5], 0.3, (8, 4))
    plain, wide, less = gap_interval(x), gap_interval(x, {3: 2.0}), gap_interval(x, {3: 0.01})
    assert wide.low < plain.low
    assert wide.high > plain.high
    assert less == plain
