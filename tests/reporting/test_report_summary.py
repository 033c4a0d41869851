"""The numbers of the table, by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from mubench.reporting.gap import floor_band, floor_quantile
from mubench.reporting.summary import summarise

PER_METRIC = [
    f"{m}{end}" for m in ("ua", "ra", "ta", "mia", "mia_svc") for end in ("", "_std", "_gap", "_se")
]
GAPS = [
    *("avg_gap_svc", "avg_gap_svc_low", "avg_gap_svc_high", "mia_svc_at_chance"),
    *("avg_gap", "avg_gap_low", "avg_gap_high", "mia_at_chance"),
    *("avg_gap_svc_seed_mean", "avg_gap_svc_seed_std", "rank"),
]
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
    assert set(summarise(forgotten).numbers.reset_index()) == {
        *COLUMNS,
        *("fta", "fta_std", "fta_gap", "fta_se"),
    }
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
    assert line["avg_gap_svc_seed_mean"] == pytest.approx(1.25)
    assert line["avg_gap_svc_seed_std"] == pytest.approx(math.sqrt(0.125))


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
    assert line[["ua_gap", "avg_gap", "avg_gap_svc", "avg_gap_svc_seed_mean", "rte_ratio"]].isna().all()


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


@pytest.fixture
def several(make):
    """`several(count, seeds)`: cells of Retrain, FT and `count` further Retrains."""

    def of(count, seeds=3):
        rng = np.random.default_rng(0)
        further = [f"Retrain (again{f' {k}' if k > 1 else ''})" for k in range(1, count + 1)]
        roles = {"Retrain": "reference", **dict.fromkeys(further, "floor"), "FT": "method"}
        lines = [make(m, r, s, 50 + rng.normal(size=5)) for s in range(seeds) for m, r in roles.items()]
        return pd.DataFrame(lines)

    return of


@pytest.mark.parametrize("count", [2, 4])
def test_of_three_retrains_or_more_the_mean_is_what_rows_are_compared_with(several, count):
    cells = several(count)
    numbers = cells.set_index(["method", "seed"])[["ua", "ra", "ta", "mia"]]
    means = numbers.groupby("method").mean()
    retrains = means.drop(index="FT")
    summary = summarise(cells)

    assert len(summary.retrains) == count + 1
    expected = (means.loc["FT"] - retrains.mean()).abs().mean()
    assert summary.numbers.loc["FT", "avg_gap"] == pytest.approx(expected)
    for name in retrains.index:  # leave-one-out
        apart = retrains.loc[name] - retrains.drop(index=name).mean()
        assert summary.numbers.loc[name, "avg_gap"] == pytest.approx(apart.abs().mean())
        assert summary.numbers.loc[name, "ua_gap"] == pytest.approx(abs(apart["ua"]))
    of_seed = numbers.xs(1, level="seed")
    apart = of_seed.loc["FT"] - of_seed.drop(index="FT").mean()
    own = summary.cells.set_index(["method", "seed"])["avg_gap"]
    assert own["FT", 1] == pytest.approx(apart.abs().mean())


def test_a_retrain_that_failed_is_not_in_the_mean(several):
    cells = several(3)
    bad = (cells["method"] == "Retrain (again 2)") & (cells["seed"] == 1)
    without = cells[cells["method"] != "Retrain (again 2)"]
    cells.loc[bad, ["status", "reason"]] = ["FAILED", "died"]

    found, expected = summarise(cells), summarise(without)
    assert found.retrains == ("Retrain", "Retrain (again)", "Retrain (again 3)")
    assert found.bands == expected.bands
    assert found.numbers.loc["FT", "avg_gap"] == expected.numbers.loc["FT", "avg_gap"]


def test_the_band_of_three_retrains_takes_one_seed(several):
    cells = several(2, seeds=1)
    retrains = cells[cells["method"] != "FT"].to_dict("records")
    assert summarise(cells).bands["avg_gap"] == pytest.approx(floor_quantile([retrains]), rel=1e-12)


def test_the_band_of_the_pooled_attack_does_not_take_seeds_for_independent(several):
    cells = several(2)
    retrains = cells[cells["method"] != "FT"]
    by_seed = [part.to_dict("records") for _, part in retrains.groupby("seed")]

    bands = summarise(cells).bands

    assert bands["avg_gap"] == pytest.approx(floor_quantile(by_seed, pooled=("mia",)), rel=1e-12)
    assert bands["avg_gap_svc"] == pytest.approx(
        floor_quantile(by_seed, ("ua", "ra", "ta", "mia_svc")), rel=1e-12
    )
