"""`mubench tune` from end to end: guards before the work, every trial written, the best of each method."""

import json
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
def tune(call, suite_file, plugin_file):
    """`tune(*words, change="")`: `mubench tune` of the tiny suite and the plugin in this process."""
    path = plugin_file(PLUGIN)

    def run(*words, change='methods = ["GA"]'):
        suite = suite_file(change)
        return call("tune", "--suite", suite, "--plugin", path, "--jobs", 0, "--dev-seeds", 1, *words)

    return run


def test_a_search_runs_every_trial_and_writes_the_best_of_each_method(tune, home):
    code, out, err = tune("--trials", 4, "--out", "tuned")

    trials = pd.read_csv(home / "tuned" / "tuning.csv")
    failed = trials["score"].isna()
    factors = trials["parameters"].map(json.loads).map(lambda p: p.get("factor"))
    assert trials["method"].value_counts().to_dict() == {"GA": 4, "Scale": 4}
    assert failed.tolist() == (factors < 0.05).tolist()
    assert code == int(failed.any())
    best = tomllib.loads((home / "tuned" / "tuning.toml").read_text())["methods"]
    assert best.keys() == {"GA", "Scale"}
    assert best["Scale"]["factor"] >= 0.05
    assert tomllib.loads(out)["methods"] == best
    assert err.count("failed at seed 1000: ValueError: too small (mine.py, line ") >= failed.sum() > 0
    assert "4 trials spread over the search space, on 1 development forget sets; 7 cells to run" in err
    assert "8 trials close to the best, on 1 development forget sets; " in err
    assert "written to tuned/" in err
    assert not (home / "results").exists()


def test_the_output_folder_is_named_by_what_was_tuned(tune, home):
    for words in ([], ["--methods", "GA"], ["--publish"]):
        assert tune("--trials", 1, *words)[2].splitlines()[-1].startswith("written to results/")

    names = sorted(p.relative_to(home / "results").as_posix() for p in home.glob("results/**/*-tuning"))
    assert len(names) == len(set(names)) == 3
    assert all(name.startswith(("tiny-custom-", "published/tiny-custom-")) for name in names)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "tiny.toml/x"], "the output folder tiny.toml/x cannot be written"),
        (["--set", "metrics.mia.statistic=entropi"], "[metrics]"),
        (["--methods", "Retrain,Retrain"], "--methods names 'Retrain' twice"),
        (["--trials", 0], "0 is not in the range"),
        (["--publish", "--out", "x"], "--publish writes to results/published; leave out --out"),
        (["--set", "seeds=[1000]"], "seeds from 1000 on are kept for development"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_trained(tune, home, words, message):
    code, out, err = tune(*words)

    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert not list((home / "store").glob("records/*"))
