"""Which differences from Retrain are real, and which lie within the margin: by hand and by scipy."""

import pandas as pd
import pytest
from scipy import stats

from mubench.reporting.differences import legend, verdict
from mubench.reporting.render import make_report

RETRAIN = [5.0, 6.0, 5.5, 4.5, 5.2, 5.8, 4.9, 5.1]


@pytest.fixture
def found(make):
    """`found(seeds, margin=1.0)`: the differences of UA of three rows, by row."""

    def of(seeds, margin=1.0):
        rows = {
            "Retrain": ("reference", RETRAIN),
            "far": ("method", [v + 4 + 0.1 * i for i, v in enumerate(RETRAIN)]),
            "near": ("method", [v + 0.05 * (-1) ** i for i, v in enumerate(RETRAIN)]),
            "wild": ("method", [v + 3.0 * (-1) ** i for i, v in enumerate(RETRAIN)]),
        }
        cells = [
            make(name, role, seed, [values[seed], 99, 94, 12, 10])
            for name, (role, values) in rows.items()
            for seed in range(seeds)
        ]
        frame = make_report(pd.DataFrame(cells), caption="", margin=margin).differences
        return frame[frame["metric"] == "ua"].set_index("method")

    return of


def test_the_signed_difference_has_scipys_interval_and_p_values(found):
    far = found(8).loc["far"]
    apart = [4 + 0.1 * i for i in range(8)]
    t = stats.ttest_1samp(apart, 0.0)
    low, high = t.confidence_interval(0.95)

    assert (far["difference"], far["low"], far["high"]) == pytest.approx((4.35, low, high))
    assert far["p"] == 2 / 2**8
    assert far["p_holm"] == 3 * 2 / 2**8  # the smallest of three
    assert far["p_equivalent"] == pytest.approx(stats.ttest_1samp(apart, 1.0, alternative="less").pvalue)


def test_verdicts(found):
    assert dict(found(8)["verdict"]) == {"far": "different", "near": "equivalent", "wild": "undecided"}
    assert found(8, margin=10.0)["verdict"]["far"] == "different, but within the margin"
    assert set(found(5)["verdict"]) == {"equivalent", "undecided"}  # no p below 0.0625
    assert set(found(2)["verdict"]) == {"cannot be known with 2 seeds"}
    assert verdict(1, float("nan"), float("nan")) == "cannot be known with 1 seed"


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        (8, "within the margin of 1 point."),
        (5, "with 5 seeds no p-value is below 0.0625, so no row can be called different."),
        (1, "cannot be known with 1 seed."),
    ],
)
def test_the_legend_says_what_cannot_be_said(found, seeds, words):
    (line,) = legend(found(seeds).reset_index(), "Retrain", 1.0)

    assert line.startswith("differences.csv: each row's signed difference from Retrain")
    assert line.endswith(words)


def test_a_failed_row_has_no_difference_and_a_failed_retrain_leaves_none(make):
    good = [make("Retrain", "reference", s, [5, 99, 94, 12, 10]) for s in range(3)]
    bad = [make("FT", "method", s, [5, 99, 94, 12, 10], status="FAILED", reason="x") for s in range(3)]
    swapped = [{**c, "role": {"Retrain": "method", "FT": "reference"}[c["method"]]} for c in (*good, *bad)]

    assert make_report(pd.DataFrame([*good, *bad]), caption="").differences.empty
    assert make_report(pd.DataFrame(swapped), caption="").differences.empty
