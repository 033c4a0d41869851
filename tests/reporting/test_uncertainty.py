"""Standard errors, intervals and attacks at chance in a table: by hand, from cells that are chosen."""

import math

import numpy as np
import pandas as pd
import pytest

from mubench.reporting import classes, tables
from mubench.reporting.classes import summarise_classes
from mubench.reporting.formats import latex, markdown
from mubench.reporting.intervals import gap_interval
from mubench.reporting.summary import summarise
from mubench.reporting.uncertainty import gap_fits

METRICS = ["ua", "ra", "ta", "mia"]


@pytest.fixture
def drawn(make):
    """`drawn(seeds, roles, **more)`: cells around 50 %; more: what rows say of an attack, by their name."""

    def of(seeds, roles, **more):
        rng = np.random.default_rng(5)
        lines = [
            make(row, role, s, 50 + rng.normal(size=5), **{k: v[row] for k, v in more.items()})
            for s in range(seeds)
            for row, role in roles.items()
        ]
        return pd.DataFrame(lines)

    return of


ONE = {"Retrain": "reference", "FT": "method"}
THREE = {"Retrain": "reference", "Retrain (again)": "floor", "Retrain (again 2)": "floor", "FT": "method"}


def values(cells, row):
    return cells[cells["method"] == row][METRICS].to_numpy(float)


def test_a_metric_of_each_seed_errs_by_its_spread_and_a_pooled_one_by_what_it_says(drawn):
    cells = drawn(4, ONE, mia_se={"Retrain": 1.5, "FT": 2.5})
    numbers = summarise(cells).numbers
    assert numbers["ua_se"].tolist() == pytest.approx((numbers["ua_std"] / 2).tolist())
    assert numbers["mia_se"].tolist() == [1.5, 2.5]


def test_a_pooled_metric_that_says_nothing_has_no_error_and_no_interval(drawn):
    line = summarise(drawn(4, ONE)).numbers.loc["FT"]
    assert math.isnan(line["mia_se"])
    assert math.isnan(line["avg_gap_low"])
    assert line["avg_gap_svc_low"] < line["avg_gap_svc"] < line["avg_gap_svc_high"]


def spread(apart):
    return apart.std(axis=0, ddof=1) / len(apart) ** 0.5


def test_the_interval_takes_paired_seeds_and_the_fits_of_both_rows(drawn):
    errors = {"Retrain": 3.0, "FT": 4.0}
    cells = drawn(6, ONE, mia_se=errors)
    apart = values(cells, "FT") - values(cells, "Retrain")
    fits = sum(errors[row] ** 2 - spread(values(cells, row))[3] ** 2 for row in errors)
    expected = gap_interval(apart, {3: math.sqrt(spread(apart)[3] ** 2 + fits)})

    line = summarise(cells).numbers.loc["FT"]

    assert (line["avg_gap_low"], line["avg_gap_high"]) == pytest.approx((expected.low, expected.high))
    assert line["avg_gap"] == pytest.approx(expected.value)
    without = gap_interval(apart)
    assert expected.high > without.high + 0.5


def test_of_three_retrains_the_mean_counts_and_a_retrain_meets_the_others(drawn):
    errors = {"Retrain": 3.0, "Retrain (again)": 2.0, "Retrain (again 2)": 1.0, "FT": 4.0}
    cells = drawn(6, THREE, mia_se=errors)
    numbers = summarise(cells).numbers
    for row, targets in (("FT", list(THREE)[:3]), ("Retrain", list(THREE)[1:3])):
        apart = values(cells, row) - np.mean([values(cells, t) for t in targets], axis=0)
        fit = {name: errors[name] ** 2 - spread(values(cells, name))[3] ** 2 for name in errors}
        added = fit[row] + sum(fit[t] for t in targets) / len(targets) ** 2
        expected = gap_interval(apart, {3: math.sqrt(spread(apart)[3] ** 2 + added)})
        found = numbers.loc[row, ["avg_gap_low", "avg_gap_high"]].tolist()
        assert found == pytest.approx([expected.low, expected.high]), row


def test_a_row_at_distance_zero_by_definition_has_no_interval(drawn):
    numbers = summarise(drawn(4, ONE)).numbers
    assert math.isnan(numbers.loc["Retrain", "avg_gap_svc_low"])
    assert numbers.loc["Retrain", "avg_gap_svc"] == 0


@pytest.mark.parametrize(("seeds", "said"), [(1, "1 seed."), (2, "2 seeds.")])
def test_with_fewer_than_three_seeds_there_is_none_and_the_legend_says_so(drawn, seeds, said):
    summary = summarise(drawn(seeds, ONE))
    assert math.isnan(summary.numbers.loc["FT", "avg_gap_svc_low"])
    table = tables.build(summary, caption="x")
    assert f"How sure an Avg. Gap is cannot be known with {said}" in table.notes
    assert "[" not in markdown(table)


def test_the_mean_over_classes_has_neither(drawn):
    cells = drawn(4, ONE, mia_se={"Retrain": 1.0, "FT": 1.0})
    both = pd.concat([cells.assign(**{"class": name}) for name in ("cat", "dog")])
    summary = summarise_classes(both)
    assert summary.mean.numbers[["avg_gap_low", "avg_gap_high", "mia_se"]].isna().all(axis=None)
    assert summary.blocks["cat"].numbers.loc["FT", "avg_gap_low":"avg_gap_high"].notna().all()
    notes = classes.build(summary, caption="x").notes
    assert sum("In square brackets" in note for note in notes) == 1


def test_the_table_shows_the_interval_and_the_compact_one_does_not(drawn):
    summary = summarise(drawn(5, ONE))
    line = summary.numbers.loc["FT"]
    shown = "{avg_gap_svc:.2f} [{avg_gap_svc_low:.2f}, {avg_gap_svc_high:.2f}]".format(**line)
    full, compact = (tables.build(summary, caption="x", look=tables.Look(compact=c)) for c in (False, True))
    assert shown in [cell.text for cell in full.rows[1]]
    assert f"{line['avg_gap_svc']:.2f}" in [cell.text for cell in compact.rows[1]]
    assert sum("In square brackets" in note for note in full.notes) == 1
    assert not any("In square brackets" in note for note in compact.notes)


@pytest.mark.parametrize(("accuracy", "marked"), [(52.99, True), (53.01, False), (40.0, True)])
def test_an_attack_not_above_chance_by_two_errors_is_marked(drawn, accuracy, marked):
    cells = drawn(
        3,
        ONE,
        mia_balanced_accuracy={"Retrain": 60.0, "FT": accuracy},
        mia_balanced_accuracy_se={"Retrain": 1.5, "FT": 1.5},
    )
    summary = summarise(cells)
    assert summary.numbers["mia_at_chance"].tolist() == [0, marked]
    assert summary.numbers["mia_svc_at_chance"].isna().all()
    table = tables.build(summary, caption="x")
    assert [cell.text.endswith("†") for cell in table.rows[1]].count(True) == marked
    assert any("attack at chance" in note for note in table.notes) == marked
    assert (r"$\dagger$" in latex(table)) == marked


def test_over_seeds_fitted_one_by_one_the_accuracy_is_averaged_and_its_error_stays(make):
    cells = pd.DataFrame(
        [
            make(
                "Retrain",
                "reference",
                s,
                [5, 99, 94, 12, 12],
                mia_svc_balanced_accuracy=50.0 + s,
                mia_svc_balanced_accuracy_se=1.0,
            )
            for s in range(5)
        ]
    )
    # 52 with an error of 1, and not of 1 / sqrt(5): the seeds share images.
    assert summarise(cells).numbers["mia_svc_at_chance"].tolist() == [1]


def test_the_fit_of_a_gap_is_that_of_the_mean_over_metrics_and_blocks():
    one = pd.DataFrame({"ua": [0.0, 0.0], "mia": [8.0, 16.0]}, index=["FT", "GA"])
    two = pd.DataFrame({"ua": [0.0, 0.0], "mia": [24.0, math.nan]}, index=["FT", "GA"])

    assert gap_fits([one], ("ua", "mia")) == {"FT": 2.0, "GA": 4.0}
    assert gap_fits([one], ("auc",)) == {"FT": 0.0, "GA": 0.0}  # computed seed by seed, without a column
    both = gap_fits([one, two], ("ua", "mia"))
    assert both["FT"] == 2.0  # (8 + 24) / (2 * 2) ** 2
    assert math.isnan(both["GA"])
