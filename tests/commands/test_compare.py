"""`mubench compare`: a made-up folder of results, with gaps and intervals known by hand."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

NAMES = ("ua", "ra", "ta", "mia", "mia_svc")
RETRAIN = np.array([20.0, 90.0, 80.0, 15.0, 10.0])
# signed differences from Retrain; Far has those of Near and 4 points more of MIA-SVC
ROWS = {
    "Original": ("baseline", [-20, 10, 5, -9, -9]),
    "Near": ("method", [-3, 4, 5, 9, 8]),
    "Far": ("method", [-3, 4, 5, 9, 12]),
    "Alike": ("method", [3, 4, -5, 9, 8]),
}
WAVE = np.array([-1.0, 1.0, 0.5, -0.5, 0.0, 0.0])


def lines_of(seeds, label="", failed=(), further=0, mia_se=2.0):
    """The cells and rows of one table: Near's MIA-SVC goes up and down by `WAVE`, all else stays.

    mia_se: the standard error of every row's MIA, which does not vary over the seeds.
    """
    table = {"Retrain": ("reference", [0] * 5)}
    table |= {f"Retrain (again{f' {k}' if k > 1 else ''})": ("floor", [0] * 5) for k in range(1, further + 1)}
    cells, rows = [], []
    for i, (name, (role, off)) in enumerate((table | ROWS).items()):
        keys = {str(seed): f"{i}{seed}{label.encode().hex()}".ljust(64, "0") for seed in range(seeds)}
        rows.append({"name": name, "role": role, "keys": keys})
        for seed in range(seeds):
            values = RETRAIN + np.array(off, float)
            values[4] += WAVE[seed] * (name == "Near")
            values[0] += 0.1 * WAVE[seed] * (name == "Alike")
            about = {"method": name, "role": role, "seed": seed, "status": "ok", "reason": ""}
            if name in failed:
                about |= {"status": "FAILED", "reason": "out of memory"}
            time = {"rte": 10.0, "rte_shared": False}
            numbers = dict(zip(NAMES, values, strict=True)) | ({"mia_se": mia_se} if mia_se else {})
            cells.append(about | numbers | time | {"changed": 1.0, "key": keys[str(seed)]})
    return cells, rows


def folder(path, seeds=6, classes=(), headline=None, **more):
    """A folder of results."""
    path.mkdir(parents=True)
    tables = {label: lines_of(seeds, label, **more) for label in classes or ("",)}
    pd.DataFrame([c for cells, _ in tables.values() for c in cells]).to_csv(path / "cells.csv", index=False)
    blocks = {label: rows for label, (_, rows) in tables.items()}
    manifest = {"title": "made up", "rows": blocks.pop("", []), "classes": blocks}
    (path / "manifest.json").write_text(json.dumps(manifest | ({"headline": headline} if headline else {})))


@pytest.fixture
def compare(call, home):
    """`compare(*words, seeds=..., ...)`: of a folder of results made so."""

    def run(*words, **facts):
        folder(home / "out", **facts)
        return call("compare", *words, "--suite", "out")

    return run


def test_one_sentence_with_the_paired_interval(compare):
    code, said, error = compare("Near", "Far")
    low, high = stats.ttest_1samp((WAVE - 4) / 4, 0).confidence_interval()

    assert code == 0, error
    assert said.splitlines()[0] == (
        "Near is closer to Retrain than Far by 1.00 points of Avg. Gap (SVC), 95 % interval "
        f"{-high:.2f} to {-low:.2f} over 6 seeds (p < 0.001)."
    )
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert "MIA-SVC 8.00 12.00 -4.00 -4.74 to -3.26" in lines
    assert "UA 3.00 3.00 +0.00 +0.00 to +0.00" in lines


def test_the_other_way_round_it_names_the_same_one(compare):
    said = compare("Far", "Near")[1]

    assert said.startswith("Near is closer to Retrain than Far by 1.00 points of Avg. Gap (SVC), 95 %")


def test_as_json(compare):
    code, said, _ = compare("Near", "Far", "--json")
    facts = json.loads(said)

    assert code == 0
    assert (facts["first"], facts["second"], facts["closer"]) == ("Near", "Far", "Near")
    assert (facts["metric"], facts["seeds"], facts["difference"]) == ("avg_gap_svc", 6, pytest.approx(-1.0))
    assert (facts["first_gap"], facts["second_gap"]) == (pytest.approx(5.0), pytest.approx(6.0))
    assert facts["low"] < -1 < facts["high"] < 0
    assert facts["p"] < 0.05
    by_name = {one["metric"]: one["difference"] for one in facts["metrics"]}
    assert by_name == pytest.approx({"ua": 0, "ra": 0, "ta": 0, "mia": 0, "mia_svc": -4, "avg_gap": 0})


def test_what_cannot_be_told_apart(compare):
    code, said, _ = compare("Near", "Alike")

    assert code == 0
    assert said.startswith(
        "Near and Alike cannot be told apart: their Avg. Gap (SVC) differs by +0.00 points, 95 % interval -0"
    )


def test_another_metric_by_name_or_title(compare, call):
    assert compare("Near", "Far", "--metric", "MIA-SVC")[1].startswith(
        "Near is closer to Retrain than Far by 4.00 points of MIA-SVC"
    )
    for name in ("avg_gap", "avg. gap"):
        said = call("compare", "Near", "Far", "--suite", "out", "--metric", name)[1]
        assert said.startswith("Near and Far cannot be told apart: their Avg. Gap differs by +0.00 points")


def test_what_all_seeds_share_of_an_attacks_error_is_in_the_interval(compare, call):
    facts = json.loads(compare("Near", "Far", "--metric", "avg_gap", "--json")[1])

    # of both rows 2 points of MIA, which is one of four metrics; nothing varies over the six seeds
    half = stats.t.ppf(0.975, 5) * np.sqrt(2 * 2.0**2) / 4
    assert (facts["difference"], facts["low"], facts["high"]) == pytest.approx((0.0, -half, half), abs=1e-9)


def test_an_attack_that_does_not_tell_the_error_that_all_seeds_share_is_not_compared_by(compare):
    code, out, err = compare("Near", "Far", "--metric", "avg_gap", mia_se=None)

    assert (code, out) == (2, "")
    assert err == (
        "Error: Avg. Gap has an attack that is fitted to all seeds at once and does not tell its error\n"
    )


def test_the_headline_of_the_results_decides(compare):
    assert "their Avg. Gap differs by +0.00" in compare("Near", "Far", headline="mia")[1]


def test_two_seeds_are_too_few_to_tell(compare):
    assert "; 2 seeds are too few to tell." in compare("Near", "Far", seeds=2)[1]


def test_over_classes_the_gaps_of_all_stand_together(compare):
    code, said, error = compare("Near", "Far", "--json", classes=("cat", "dog"))
    facts = json.loads(said)

    assert code == 0, error
    assert (facts["difference"], facts["seeds"]) == (pytest.approx(-1.0), 6)
    # both classes err alike from seed to seed here, so the interval is that of one
    low, high = stats.ttest_1samp((WAVE - 4) / 4, 0).confidence_interval()
    assert (facts["low"], facts["high"]) == (pytest.approx(low), pytest.approx(high))
    assert any("the 2 classes" in note for note in facts["notes"])


def test_original_and_further_retrains_can_be_compared(compare, call):
    said = compare("Original", "Near", further=2)[1]
    assert said.startswith("Near is closer to Retrain than Original by 6.00 points")
    said = call("compare", "Retrain", "Retrain (again 2)", "--suite", "out")[1]
    assert said.startswith("Retrain and Retrain (again 2) cannot be told apart")


@pytest.mark.parametrize(
    ("words", "facts", "message"),
    [
        (("Near", "Farr"), {}, "unknown method 'Farr'. Did you mean 'Far'?"),
        (("Near", "Near"), {}, "compare takes two rows, not 'Near' twice"),
        (("Near", "Far"), {"seeds": 1}, "Near and Far share one seed, which has no spread"),
        (("Near", "Far"), {"failed": ("Far",)}, "Far has no numbers: FAILED. out of memory"),
        (("Near", "Far"), {"failed": ("Retrain",)}, "Retrain has no numbers: FAILED. out of memory"),
        (("Retrain", "Far"), {}, "Retrain is what rows are compared with"),
        (("Near", "Far", "--metric", "MIASVC"), {}, "unknown metric 'MIASVC'"),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_2(compare, words, facts, message):
    code, said, error = compare(*words, **facts)

    assert (code, said, len(error.splitlines())) == (2, "", 1)
    assert message in error


def test_results_without_a_retrain_or_without_numbers(call, home, suite_file):
    folder(home / "out")
    manifest = json.loads((home / "out" / "manifest.json").read_text())
    rows = [row for row in manifest["rows"] if row["role"] != "reference"]
    (home / "out" / "manifest.json").write_text(json.dumps(manifest | {"rows": rows}))
    for words, message in (
        (("out",), "exactly one row with the role 'reference'"),
        ((suite_file('methods = ["FT", "GA"]'),), "nothing to render of 'tiny'"),
        (("nowhere/out",), "there is no such folder"),
    ):
        code, said, error = call("compare", "FT", "GA", "--suite", *words)
        assert (code, said, len(error.splitlines())) == (2, "", 1)
        assert message in error
