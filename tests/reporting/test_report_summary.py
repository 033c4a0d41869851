"""The numbers of the table, by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from mubench.reporting.gap import floor_band
from mubench.reporting.summary import summarise

PER_METRIC = [f"{m}{end}" for m in ("ua", "ra", "ta", "mia", "mia_svc") for end in ("", "_std", "_gap")]
GAPS = ["avg_gap", "avg_gap_svc", "avg_gap_seed_mean", "avg_gap_seed_std"]
COLUMNS = ["method", "status", *PER_METRIC, *GAPS, "rte", "rte_std", "rte_ratio"]


def test_the_published_gap_by_hand(published):
    line = summarise(published).numbers.loc["SalUn"]
    assert [line[f"{m}_gap"] for m in ("ua", "ra", "ta", "mia")] == pytest.approx([1.22, 0.87, 0.91, 5.81])
    assert line["avg_gap"] == pytest.approx((1.22 + 0.87 + 0.91 + 5.81) / 4)
    assert line["avg_gap"] == pytest.approx(2.2025)
    assert line["avg_gap_svc"] == pytest.approx((1.22 + 0.87 + 0.91 + 0) / 4)
    assert line["rte_ratio"] == pytest.approx(160 / 2597)


def test_the_reference_is_at_distance_zero(published):
    line = summarise(published).numbers.loc["Retrain"]
    assert (line[["ua_gap", "avg_gap", "avg_gap_svc"]] == 0).all()
    assert line["rte_ratio"] == 1


def test_columns_are_those_of_the_csv(published):
    assert list(summarise(published).numbers.reset_index()) == COLUMNS
    forgotten = published.assign(fta=[0.0, 2.0, 5.0])
    assert set(summarise(forgotten).numbers.reset_index()) == {*COLUMNS, "fta", "fta_std", "fta_gap"}
    assert summarise(forgotten).numbers["fta_gap"].tolist() == [0, 2, 5]
    assert (
        summarise(forgotten).numbers["avg_gap"].tolist() == summarise(published).numbers["avg_gap"].tolist()
    )


def test_means_first_and_seed_by_seed_are_two_estimators(make):
    cells = pd.DataFrame(
        [
            make("Retrain", "reference", 0, [10, 90, 80, 20, 20]),
            make("Retrain", "reference", 1, [10, 90, 80, 20, 20]),
            make("FT", "method", 0, [14, 90, 80, 20, 20]),
            make("FT", "method", 1, [4, 90, 80, 20, 20]),
        ]
    )
    line = summarise(cells).numbers.loc["FT"]
    assert line["ua"] == 9
    assert line["ua_std"] == pytest.approx(math.sqrt(50))  # ddof = 1
    assert line["avg_gap"] == pytest.approx(1 / 4)
    assert summarise(cells).cells["avg_gap"].tolist() == [0, 0, 1, 1.5]
    assert line["avg_gap_seed_mean"] == pytest.approx(1.25)
    assert line["avg_gap_seed_std"] == pytest.approx(math.sqrt(0.125))


def test_a_seed_meets_its_own_reference_whatever_the_order(make):
    cells = pd.DataFrame(
        [
            make("Retrain", "reference", 1, [20, 90, 80, 20, 20]),
            make("Retrain", "reference", 0, [10, 90, 80, 20, 20]),
            make("FT", "method", 0, [10, 90, 80, 20, 20]),
            make("FT", "method", 1, [20, 90, 80, 20, 24]),
        ]
    )
    gaps = summarise(cells).cells
    assert gaps["avg_gap"].tolist() == [0, 0, 0, 0]
    assert gaps["avg_gap_svc"].tolist() == [0, 0, 0, 1]


def test_one_failed_seed_fails_the_row(make):
    cells = pd.DataFrame(
        [
            make("Retrain", "reference", 0, [5, 99, 94, 12, 12]),
            make("Retrain", "reference", 1, [6, 99, 94, 12, 12]),
            make("GA", "method", 0, [5, 99, 94, 12, 12]),
            make("GA", "method", 1, [], status="FAILED", reason="ValueError: NaN weights"),
            make("SISA", "method", math.nan, [], status="skipped", reason="class forgetting only"),
            make("FT", "method", 0, [5, 99, 94, 12, 12]),
            make("FT", "method", 1, [], status="missing", reason="not run yet"),
        ]
    )
    summary = summarise(cells)
    table, about = summary.numbers, summary.rows
    assert table["status"].to_dict() == {"Retrain": "ok", "GA": "FAILED", "SISA": "skipped", "FT": "missing"}
    assert table.loc[["GA", "SISA", "FT"]].drop(columns="status").isna().all(axis=None)
    assert about["reason"].tolist() == [
        "",
        "seed 1: ValueError: NaN weights",
        "class forgetting only",
        "seed 1: not run yet",
    ]
    assert about["role"].tolist() == ["reference", "method", "method", "method"]


def test_without_a_reference_means_but_no_gaps(make):
    cells = pd.DataFrame(
        [
            make("Retrain", "reference", 0, [5, 99, 94, 12, 12]),
            make("Retrain", "reference", 1, [], status="FAILED", reason="boom"),
            make("FT", "method", 0, [6, 99, 94, 12, 12]),
            make("FT", "method", 1, [8, 99, 94, 12, 12]),
        ]
    )
    line = summarise(cells).numbers.loc["FT"]
    assert line["ua"] == 7
    assert line["ua_std"] == pytest.approx(math.sqrt(2))
    assert line[["ua_gap", "avg_gap", "avg_gap_svc", "avg_gap_seed_mean", "rte_ratio"]].isna().all()


def test_one_seed_has_no_spread(published):
    table = summarise(published).numbers
    assert table.filter(like="_std").isna().all(axis=None)
    assert table["ua"].notna().all()


def test_a_number_missing_from_an_ok_cell_shows(make):
    cells = pd.DataFrame(
        [make("Retrain", "reference", s, [5, 99, 94, 12, 12 if s else math.nan]) for s in (0, 1)]
        + [make("FT", "method", s, [6, 99, 94, 12, 12]) for s in (0, 1)]
    )
    table = summarise(cells).numbers
    assert math.isnan(table.loc["Retrain", "mia_svc"])
    assert math.isnan(table.loc["FT", "avg_gap_svc"])
    assert table.loc["FT", "avg_gap"] == pytest.approx(0.25)


@pytest.mark.parametrize("roles", [["method", "method"], ["reference", "reference"]])
def test_exactly_one_reference(make, roles):
    cells = pd.DataFrame([make(f"row {i}", role, 0, [5, 99, 94, 12, 12]) for i, role in enumerate(roles)])
    with pytest.raises(ValueError, match="exactly one row"):
        summarise(cells)


def test_the_band_swaps_the_two_references_seed_by_seed(make):
    first = {0: [5, 99, 94, 12, 10], 1: [6, 98, 93, 15, 11], 2: [4, 99, 95, 10, 12]}
    second = {2: [5, 98, 94, 16, 15], 0: [7, 99, 95, 11, 10], 1: [6, 99, 93, 13, 11]}
    cells = pd.DataFrame(
        [make("Retrain", "reference", s, v) for s, v in first.items()]
        + [make("Retrain (again)", "floor", s, v) for s, v in second.items()]
    )

    def named(values):
        return dict(zip(["ua", "ra", "ta", "mia", "mia_svc"], map(float, values), strict=True))

    pairs = [named(first[s]) for s in range(3)], [named(second[s]) for s in range(3)]
    assert summarise(cells).bands == {
        "avg_gap": floor_band(*pairs, metrics=("ua", "ra", "ta", "mia")),
        "avg_gap_svc": floor_band(*pairs, metrics=("ua", "ra", "ta", "mia_svc")),
    }
    assert summarise(cells).bands["avg_gap"] > 0


def test_no_band_from_one_seed_or_without_a_floor(make):
    reference = [make("Retrain", "reference", s, [5, 99, 94, 12, 12]) for s in (0, 1)]
    again = [make("Retrain (again)", "floor", s, [6, 99, 94, 12, 12]) for s in (0, 1)]
    assert summarise(pd.DataFrame(reference)).bands == {}
    assert summarise(pd.DataFrame([reference[0], again[0]])).bands == {}
    assert len(summarise(pd.DataFrame(reference + again)).bands) == 2
