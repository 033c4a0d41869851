"""A row that is compared with a Retrain of its own: its numbers, its place, what is said of it."""

import pandas as pd
import pytest

from mubench.commands.compare import compare_in
from mubench.errors import UsageError
from mubench.reporting.classes import summarise_classes
from mubench.reporting.differences import differences
from mubench.reporting.manifest import Manifest
from mubench.reporting.render import make_report
from mubench.reporting.summary import summarise

KIN = {"X": "method", "X (Original)": "aside", "X (Retrain)": "aside"}
# Of each row at seed 0; each further seed adds 1 to all of them.
VALUES = {
    "Retrain": [10.0, 90.0, 80.0, 20.0, 30.0],
    "FT": [8.0, 92.0, 81.0, 18.0, 28.0],
    "GA": [9.0, 91.0, 80.0, 19.0, 29.0],
    "X": [44.0, 61.0, 55.0, 47.0, 41.0],
    "X (Original)": [20.0, 70.0, 60.0, 10.0, 10.0],
    "X (Retrain)": [40.0, 60.0, 50.0, 50.0, 40.0],
}
ROLES = {"Retrain": "reference", "FT": "method", "GA": "method", **KIN}
TIMES = {"X": 3.0, "X (Retrain)": 12.0}


@pytest.fixture
def cells(make):
    """`cells(bad=())`: three seeds; the rows in `bad` FAILED at seed 1."""

    def of(bad=()):
        lines = []
        for seed in range(3):
            for row, role in ROLES.items():
                state = {"status": "FAILED", "reason": "died"} if row in bad and seed == 1 else {}
                # the seeds move by a little more in the rows that are compared, or nothing would be uncertain
                values = [v + seed * (1.5 if row in ("X", "FT") else 1) for v in VALUES[row]]
                target = "X (Retrain)" if row in KIN else ""
                more = {"rte": TIMES.get(row, 10.0), "target": target, **state}
                lines.append(make(row, role, seed, values, **more))
        return pd.DataFrame(lines)

    return of


def test_its_gaps_are_to_its_own_retrain_and_others_are_to_the_tables(cells):
    summary = summarise(cells())

    numbers = summary.numbers
    assert numbers.loc["X", "ua_gap"] == pytest.approx(4.5)
    assert numbers.loc["X", "avg_gap_svc"] == pytest.approx((4.5 + 1.5 + 5.5 + 1.5) / 4)
    assert numbers.loc["X (Original)", "ua_gap"] == pytest.approx(20)
    assert numbers.loc["X (Retrain)", "avg_gap"] == 0
    assert numbers.loc["FT", "ua_gap"] == pytest.approx(1.5)
    assert numbers.loc["X", "rte_ratio"] == pytest.approx(0.25)
    assert numbers.loc["FT", "rte_ratio"] == pytest.approx(1)
    own = summary.cells.set_index(["method", "seed"])["avg_gap_svc"]
    assert own["X", 2] == pytest.approx((5 + 2 + 6 + 2) / 4)


def test_it_has_no_rank_and_those_that_compete_rank_as_without_it(cells):
    every = cells()

    with_it, without = summarise(every), summarise(every[~every["method"].isin(KIN)].drop(columns="target"))

    ranks = with_it.numbers["rank"]
    assert ranks[["X", "X (Retrain)", "X (Original)"]].isna().all()
    assert ranks[["FT", "GA"]].to_list() == without.numbers["rank"][["FT", "GA"]].to_list()
    assert with_it.numbers.loc["FT", "avg_gap"] == without.numbers.loc["FT", "avg_gap"]
    assert "X" not in with_it.best


def test_the_table_prints_the_row_and_says_what_it_is_compared_with(cells):
    table = make_report(cells(), caption="t").table

    assert [row[0].text for row in table.rows] == ["Retrain", "FT", "GA", "X"]
    (note,) = (note for note in table.notes if note.startswith("X: "))
    assert "of its own kind" in note
    assert "no rank" in note
    assert "X (Retrain): UA 41.00, RA 61.00, TA 51.00, MIA 51.00, MIA-SVC 41.00." in note
    assert "RTE is its deletion alone" in note


def test_differences_are_to_its_own_retrain_and_not_of_it(cells):
    found = differences(summarise(cells()), 1.0).set_index(["method", "metric"])

    assert found.loc[("X", "ua"), "difference"] == pytest.approx(4.5)
    assert {*found.index.get_level_values("method")} == {"FT", "GA", "X"}


def test_without_its_retrain_it_has_numbers_but_no_gaps(cells):
    report = make_report(cells(bad=["X (Retrain)"]), caption="t")

    numbers = report.summary.numbers.loc["X"]
    assert numbers["ua"] == pytest.approx(45.5)
    assert numbers[["ua_gap", "avg_gap", "rte_ratio"]].isna().all()
    assert report.summary.numbers.loc["FT", "ua_gap"] == pytest.approx(1.5)
    assert any(note.startswith("X (Retrain): FAILED. ") for note in report.table.notes)
    assert any("has no rank. X (Retrain): FAILED. seed 1: died." in note for note in report.table.notes)


def test_it_is_not_compared_with_other_rows(cells):
    report = make_report(cells(), caption="t")

    with pytest.raises(UsageError, match="X is compared with its own Retrain"):
        compare_in(report, {}, "FT", "X")


def test_where_every_class_is_forgotten_the_mean_is_to_its_own_retrain_too(cells):
    every = pd.concat([cells().assign(**{"class": name}) for name in "ab"])

    summary = summarise_classes(every)

    assert summary.mean.numbers.loc["X", "ua_gap"] == pytest.approx(4.5)
    assert {*summary.numbers["method"]} == {"Retrain", "FT", "GA", "X"}
    notes = make_report(every, caption="t").table.notes
    assert sum(note.startswith("X: its original is of its own kind") for note in notes) == 1


def row(name, role, **more):
    return {"name": name, "role": role, "keys": {"0": "a" * 64}, **more}


def test_a_manifest_keeps_the_target_and_says_nothing_of_none(tmp_path):
    rows = [
        row("Retrain", "reference"),
        row("X", "method", target="X (Retrain)"),
        row("X (Retrain)", "aside", target="X (Retrain)"),
    ]
    found = Manifest.model_validate_json(Manifest.model_validate_json(text(rows)).model_dump_json())

    assert [one.target for one in found.rows] == ["", "X (Retrain)", "X (Retrain)"]
    assert "target" not in found.model_dump()["rows"][0]
    with pytest.raises(ValueError, match=r"compared with 'X \(Retrain\)', which is not there"):
        Manifest.model_validate_json(text(rows[:2]))


def text(rows):
    import json

    return json.dumps({"title": "t", "rows": rows})
