"""`mubench tune` from end to end: guards before the work, every trial written, what is found is applied."""

import importlib.util
import json
import sqlite3
import tomllib

import pandas as pd
import pytest

PLUGIN = """
@method("Scale", sees="forget", cite="N", search={"factor": log_uniform(1e-3, 1.0), "fail": choice(False)})
def scale(model, task, *, factor: float = 1.0, fail: bool = False):
    if factor < 0.05:
        raise ValueError("too small")
    with torch.no_grad():
        model.head.weight.mul_(factor)
"""


@pytest.fixture
def tune(call, suite_file, plugin_file, monkeypatch):
    """`tune(*words, change="", plots=False)`: `mubench tune` of the tiny suite and the plugin, here."""
    path, pictures = plugin_file(PLUGIN), "mubench.tuning.plots.pictures"

    def run(*words, change='methods = ["GA"]', plots=False):
        with monkeypatch.context() as patched:
            if not plots:
                patched.setattr(pictures, lambda *_: [])
            return call("tune", "--suite", suite_file(change), "--plugin", path, "--jobs", 0, *words)

    return run


@pytest.fixture
def written(home):
    """`written()`: the lines of tuned/tuning.csv by method and trial."""
    return lambda: pd.read_csv(home / "tuned" / "tuning.csv").set_index(["method", "trial"]).sort_index()


def test_a_search_runs_every_trial_and_writes_the_best_of_each_method(tune, home, written):
    code, out, err = tune("--trials", 5, "--out", "tuned", plots=True)

    trials = written()
    failed = trials["state"] == "failed"
    factors = trials["parameters"].map(json.loads).map(lambda p: p.get("factor"))
    assert trials.index.tolist() == [(name, i) for name in ("GA", "Scale") for i in range(5)]
    assert failed.tolist() == trials["score"].isna().tolist() == (factors < 0.05).tolist()
    assert failed.any()
    assert code == 1
    assert err.count("failed at seed 1000: ValueError: too small (mine.py, line ") == failed.sum()
    tuned = tomllib.loads((home / "tuned" / "tuned.toml").read_text())
    whole = trials[trials["state"] == "complete"].sort_values("score", kind="stable")
    best = whole.groupby("method")["parameters"].first().map(json.loads).to_dict()
    assert tuned["methods"] == tomllib.loads(out)["methods"] == best
    assert tuned["how"].startswith("5 trials per method by mubench tune, on 2 development forget sets, ")
    assert "5 of 5 trials per method; best Avg. Gap (SVC) so far: GA " in err
    assert "written to tuned/" in err
    assert not (home / "results").exists()
    names = {path.name for path in (home / "tuned" / "plots").iterdir()}
    assert {f"{name}.png" for name in ("history", "importance", "slice")} < names


def test_a_repeated_search_comes_from_the_store_and_a_longer_one_goes_on(tune, written):
    words = ("--set", "floor=0", "--dev-seeds", 1, "--out", "tuned")
    tune(*words, "--trials", 2)
    first = written()
    _, _, err = tune(*words, "--trials", 2)

    assert written().equals(first)
    assert "GA #" not in err
    tune(*words, "--trials", 4)
    longer = written()
    assert len(longer) == 8
    assert longer.loc[first.index, ["score", "parameters"]].equals(first[["score", "parameters"]])


def test_a_shorter_search_is_not_written_over_a_longer_one(tune, home):
    words = ("--set", "floor=0", "--dev-seeds", 1, "--out", "tuned", "--methods", "GA")
    tune(*words, "--trials", 3)
    before = {path: path.read_bytes() for path in (home / "tuned").iterdir() if path.is_file()}

    code, out, err = tune(*words, "--trials", 2)

    assert (code, out) == (2, "")
    assert err.startswith("Error: tuned/tuning.csv holds 3 trials of GA, and --trials 2 would write fewer")
    assert {path: path.read_bytes() for path in before} == before


def test_a_search_on_fewer_sets_is_not_written_over_one_on_more(tune, home, written):
    words = ("--set", "floor=0", "--trials", 2, "--out", "tuned", "--methods", "GA")
    tune(*words, "--dev-seeds", 3)
    before = {path: path.read_bytes() for path in (home / "tuned").iterdir() if path.is_file()}

    code, out, err = tune(*words, "--dev-seeds", 2)

    assert (code, out) == (2, "")
    assert err.startswith(
        "Error: tuned/tuning.csv holds trials on 3 development sets, and --dev-seeds 2 would write fewer"
    )
    assert {path: path.read_bytes() for path in before} == before
    trials = written()
    ran = trials["state"].map({"complete": 3, "pruned": 1})
    assert trials["sets"].equals(ran.astype(float))
    assert tune(*words, "--dev-seeds", 3)[0] != 2
    old = trials.reset_index().drop(columns="sets")  # as older versions wrote it
    old.to_csv(home / "tuned" / "tuning.csv", index=False)
    assert tune(*words, "--dev-seeds", 2)[0] != 2


def test_what_set_gives_a_value_is_kept_and_the_rest_is_searched(tune, written):
    words = (
        "--set",
        'methods=["SalUn"]',
        "--set",
        "methods.SalUn.rho=0.4",
        "--dev-seeds",
        1,
        "--out",
        "tuned",
    )
    code, _, err = tune(*words, "--trials", 2, "--methods", "SalUn")

    assert "SalUn" in err, code
    found = [json.loads(text) for text in written().loc["SalUn", "parameters"]]
    assert [one["rho"] for one in found] == [0.4, 0.4]
    assert found[0]["lr"] != found[1]["lr"]


def test_a_search_in_a_database_needs_no_records_to_go_on(tune, home, written):
    words = ("--dev-seeds", 1, "--out", "tuned", "--trials", 3, "--storage", "sqlite:///tuning.db")
    tune(*words)
    first = written()
    code, _, err = tune(*words, "--store", home / "another")

    assert written().equals(first)
    assert "cells to run" not in err
    assert code == int((first["state"] == "failed").any())
    with sqlite3.connect(home / "tuning.db") as base:
        names = {name for (name,) in base.execute("select study_name from studies")}
    base.close()
    assert sorted(name.rpartition(",")[0] for name in names) == ["tiny, GA", "tiny, Scale"]


def test_another_set_of_development_sets_is_another_study(tune, home):
    for seeds in (1, 2):
        words = ("--dev-seeds", seeds, "--trials", 1, "--storage", "sqlite:///tuning.db", "--out", "tuned")
        tune(*words)

    with sqlite3.connect(home / "tuning.db") as base:
        assert base.execute("select count(*) from studies").fetchone() == (4,)
    base.close()


def test_what_was_found_is_applied_and_every_table_says_so(tune, call, home, suite_file, plugin_file):
    tune("--trials", 2, "--dev-seeds", 1, "--out", "tuned")
    suite, file = suite_file('methods = ["GA", "FT"]\ntuning = "by hand."'), home / "tuned" / "tuned.toml"
    best = tomllib.loads(file.read_text())["methods"]
    words = ("run", "--suite", suite, "--plugin", plugin_file(PLUGIN), "--jobs", 0, "--out", "out")

    code, _, err = call(*words, "--tuned", file, "--set", "methods.FT.epochs=1")

    assert code == 0, err
    manifest = json.loads((home / "out" / "manifest.json").read_text())
    rows = {row["name"]: row["parameters"] for row in manifest["rows"]}
    assert rows["GA"]["lr"] == best["GA"]["lr"]
    assert rows["Scale"] == best["Scale"]
    note = (
        "Hyper-parameters of GA, Scale: tuned.toml, 2 trials per method by mubench tune, on 1 development "
        "forget set, scored by Avg. Gap (SVC) on validation images. Not tuned: FT (--set)."
    )
    assert note in manifest["notes"]
    for table in ("table.md", "table-standalone.tex"):
        assert "tuned.toml, 2 trials per method" in (home / "out" / table).read_text()
    assert call(*words, "--tuned", file, "--dry-run")[0] == 0


def test_a_tuned_file_of_another_suite_is_refused_before_anything_is_trained(tune, call, home, suite_file):
    tune("--trials", 1, "--dev-seeds", 1, "--out", "tuned", "--methods", "GA")
    other = suite_file("forget = { scenario = 'random', percent = 10 }", name="other")

    code, out, err = call("run", "--suite", other, "--tuned", home / "tuned" / "tuned.toml")

    assert (code, out) == (2, "")
    assert "tuned.toml: tuned on tiny, with forget.percent = 20.0; here is forget.percent = 10.0" in err
    assert len(err.splitlines()) == 1


def test_a_tuned_file_that_changes_no_row_is_warned_of(tune, call, suite_file):
    tune("--trials", 1, "--dev-seeds", 1, "--out", "tuned", "--methods", "GA")
    words = ("run", "--suite", suite_file(), "--tuned", "tuned/tuned.toml", "--dry-run", "--methods")

    assert call(*words, "FT,GA")[::2] == (0, "")
    assert call(*words, "FT")[::2] == (0, "tuned/tuned.toml changes no row of this run: it tunes GA\n")


def test_the_output_folder_is_named_by_what_was_tuned(tune, home):
    for words in ([], ["--methods", "GA"], ["--publish"]):
        said = tune("--trials", 1, "--dev-seeds", 1, *words)[2]
        assert said.splitlines()[-1].startswith("written to results/")

    names = sorted(p.relative_to(home / "results").as_posix() for p in home.glob("results/**/*-tuning"))
    assert len(names) == len(set(names)) == 3
    assert all(name.startswith(("tiny-custom-", "published/tiny-custom-")) for name in names)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "tiny.toml/x"], "the output folder tiny.toml/x cannot be written"),
        (["--set", "metrics.mia.statistic=entropi"], "[metrics]"),
        (["--methods", "Retrain,Retrain"], "--methods names 'Retrain' twice"),
        (["--methods", "GA,Retrain"], "method 'Retrain' is the reference: what others are compared with"),
        (["--methods", "GA,l1-sparse", "--engine", "rayy"], "unknown engine 'rayy'"),
        (["--trials", 0], "0 is not in the range"),
        (["--publish", "--out", "x"], "--publish writes to results/published; leave out --out"),
        (["--set", "seeds=[1000]"], "seeds from 1000 on are kept for development"),
        (["--storage", "tuning.db"], "--storage 'tuning.db' cannot be used: "),
        (["--storage", ""], "--storage '' cannot be used: "),
        (["--storage", "nosuch://x"], "--storage 'nosuch://x' cannot be used: "),
        (["--storage", "sqlite://"], "--storage 'sqlite://' is in memory and would be lost"),
        (["--storage", "sqlite:///:memory:"], "is in memory and would be lost"),
        (
            ["--storage", "mysql+nosuch_driver://me:secret@host/db"],
            "--storage 'mysql+nosuch_driver://me:***@host/db'",
        ),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_trained(tune, home, words, message):
    code, out, err = tune(*words)

    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert not list((home / "store").glob("records/*"))


def test_without_optuna_a_line_names_the_extra(tune, home, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "optuna" else find(name))

    code, out, err = tune("--trials", 1)

    assert (code, out) == (2, "")
    assert err == "Error: mubench tune needs optuna, which is not installed: pip install 'mubench[tune]'\n"
