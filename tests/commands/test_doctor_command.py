"""`mubench doctor`: replicates that share the store, files beside the results, one line for what is wrong."""

import json

import pytest

SUITE = """
seeds = [0, 1]
floor = 2
methods = { Retrain = {}, FT = { lr = 0.02 }, GA = { lr = 0.01 }, RL = { lr = 0.01 } }
"""


@pytest.fixture
def doctor(call, suite_file, monkeypatch):
    """`doctor(*words, change=SUITE)` of the tiny suite in this process.

    All on one thread: two that share a busy core with others wait for each other without end.
    """
    monkeypatch.setattr("torch.set_num_threads", lambda _: None)
    return lambda *words, change=SUITE: call(
        "doctor", suite_file(change), "--jobs", 0, "--device", "cpu", *words
    )


@pytest.mark.slow
def test_three_replicates_are_run_once_and_tell_whether_the_suite_discriminates(
    doctor, home, call, suite_file
):
    code, out, err = doctor()

    assert code == 0, err
    assert "Method" in out
    names = ["fp32, 1 thread", "bf16, 1 thread", "fp32, 2 threads"]
    assert [line.partition(":")[0] for line in err.splitlines() if " of them in the store" in line] == names
    text = (home / "results" / "tiny" / "doctor.md").read_text(encoding="utf-8")
    data = json.loads((home / "results" / "tiny" / "doctor.json").read_text(encoding="utf-8"))
    assert text.splitlines()[0].count("|") == 6
    assert data["verdict"] in text
    assert [one["name"] for one in data["replicates"]] == names
    assert data["discriminating"] == data["verdict"].startswith("Discriminating")
    assert set(data["replicates"][0]["gaps"]) == {"FT", "GA", "RL"}
    assert data["replicates"][0]["band"] > 0
    # the first one is the suite as it is run, number by number
    assert call("run", "--suite", suite_file(SUITE), "--jobs", 0)[0] == 0
    import pandas as pd

    table = pd.read_csv(home / "results" / "tiny" / "table.csv").set_index("method")
    assert data["replicates"][0]["gaps"] == pytest.approx(
        table["avg_gap_svc"][["FT", "GA", "RL"]].to_dict(), abs=1e-4
    )
    records = set((home / "store" / "records").rglob("record.json"))

    code, out, err = doctor("--json", "--publish")

    assert (code, json.loads(out)) == (0, data)
    assert "[1/" not in err
    assert set((home / "store" / "records").rglob("record.json")) == records
    published = home / "results" / "published" / "tiny"
    assert {path.name: path.read_text() for path in published.iterdir()} == {
        name: (home / "results" / "tiny" / name).read_text() for name in ("doctor.md", "doctor.json")
    }


FIVE = SUITE.replace("RL = {", "SalUn = { lr = 0.01 }, RL = {")


@pytest.mark.slow
def test_results_made_elsewhere_are_one_more_replicate(doctor, call, home, suite_file, monkeypatch):
    monkeypatch.setattr("mubench.commands.doctor.resolve_precision", lambda *_: "fp32")
    words = (
        "--set",
        "methods.RL.lr=0.02",
        "--set",
        "seeds=[1, 0, 2]",
        "--store",
        home / "other",
        "--jobs",
        0,
    )
    assert call("run", "--suite", suite_file(FIVE), *words, "--out", "there")[0] == 0

    code, out, err = doctor("--beside", "there", "--json", change=FIVE)

    assert code == 0, err
    data = json.loads(out)
    assert [one["name"] for one in data["replicates"]] == ["fp32, 1 thread", "fp32, 2 threads", "there"]
    own, _, other = (one["gaps"] for one in data["replicates"])
    assert set(own) - set(other) == {"RL"}
    # of two seeds of the three, made on this machine in this precision: the same numbers
    assert {name: own[name] for name in other} == pytest.approx(other, abs=1e-4)
    text = (home / "results" / "tiny" / "doctor.md").read_text()
    assert "Left out: RL (not with the same parameters, there)." in text
    assert "bf16 was left to the results beside" in text
    assert "there: Made on: " in text


@pytest.mark.parametrize(
    ("change", "own", "message"),
    [
        ("batch_size = 16", "", "batch_size is 16 in it, here "),
        ("seeds = [0]", "", "Retrain has no seed 1"),
        (
            'metrics = { mia = { statistic = "entropy" } }',
            "",
            "metrics is {'mia': {'statistic': 'entropy'}} in it, here {}",
        ),
        ("seeds = [0, 1, 2]", 'headline = "mia"', "its Avg. Gap is of all its seeds together; run both at"),
        (
            "forget = { scenario = 'random', percent = 30 }",
            "",
            "its split at seed 0 is not that of the suite here",
        ),
        ('forget = { scenario = "class", class = "all" }', "", "forget is {'scenario': 'class'"),
    ],
)
def test_a_folder_of_something_else_is_refused_in_a_line(
    doctor, call, home, suite_file, change, own, message
):
    there = home / "there"
    other = suite_file(f"{SUITE}{change}", name="other")
    words = ("--methods", "FT", "--set", "floor=0", "--jobs", 0, "--out", there)
    assert call("run", "--suite", other, *words)[0] == 0

    code, out, err = doctor("--beside", there, change=SUITE + own)

    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith(f"Error: --beside {there}: ")
    assert message in err


@pytest.mark.slow
def test_the_floor_is_tried_on_real_retrains(doctor):
    code, out, err = doctor("--floor", 12, "--json")

    assert code == 0, err
    check = json.loads(out)["floor_check"]
    assert (check["retrains"], check["drawn"], check["trials"]) == (13, 3, 286 * 10)
    assert 0 <= check["percent"] <= 100
    assert check["holds"] == (3 <= check["percent"] <= 7)


@pytest.mark.slow
def test_a_row_that_fails_is_left_out_and_named(doctor, plugin_file):
    path = plugin_file(
        """
        @method("Mine", sees="forget")
        def mine(model, task):
            raise LookupError("unsure")
        """
    )

    code, out, err = doctor("--plugin", path, "--json", change=f'{SUITE}headline = "mia"')

    assert code == 1
    assert json.loads(out)["headline"] == "Avg. Gap"
    assert set(json.loads(out)["replicates"][0]["gaps"]) == {"FT", "GA", "RL"}
    assert "Mine failed at seeds 0, 1: LookupError: unsure" in err


@pytest.mark.parametrize(
    ("words", "change", "message"),
    [
        ((), 'methods = ["FT"]', "doctor compares methods: it takes 3 or more, the suite has 1"),
        (("--first-seeds", 1), "", "doctor takes two seeds or more: the noise of one cannot be known"),
        ((), 'forget = { scenario = "class", class = "all" }', "doctor takes one class at a time"),
        (("--floor", 5), "", "--floor 5: too few to tell; ask for 12 or more"),
        (("--publish", "--out", "x"), "", "--publish writes to results/published"),
        (("--set", "threads=none"), "", "threads: "),
    ],
)
def test_what_it_cannot_do_is_one_line(doctor, home, words, change, message):
    code, _, err = doctor(*words, change=SUITE + change)

    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1
    assert not (home / "results").exists()
