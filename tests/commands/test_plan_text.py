"""`mubench plan`: rows, what is in the store, the expected time; no method is run."""

import json

import pytest

from mubench.commands import estimate

PLUGIN = """
@method("Marks", sees="forget", cite="N")
def marks(model, task):
    open("was-run", "w").close()

@method("Elsewhere", scenarios=["class"], cite="N")
def elsewhere(model, task):
    pass
"""


@pytest.fixture
def plan(call, suite_file, plugin_file, monkeypatch):
    """`plan(*words)`: of the tiny suite and the plugin, where a second trains 10 images."""
    monkeypatch.setattr(estimate, "measured_rate", lambda *_: 10.0)
    path = plugin_file(PLUGIN)
    return lambda *words: call("plan", "--suite", suite_file(), "--plugin", path, "--jobs", 2, *words)


def test_the_text_of_a_plan(plan, home):
    code, out, err = plan()

    rows = [[c.strip() for c in line.split("│")[1:-1]] for line in out.splitlines() if line.startswith("│")]
    assert (code, err) == (0, "")
    assert rows == [
        ["original model", "1", "0", "11 s"],  # 108 images
        ["Retrain", "1", "0", "8.6 s"],  # 86 images
        ["Original", "1", "0", "0.0 s"],
        ["Marks", "1", "0", "unknown"],
    ]
    assert "Elsewhere: skipped, not for random forgetting, only class" in out
    assert "cpu, fp32, 2 at once: at least 9.7 s (unknown for 1 of 4 cells)." in out
    assert not (home / "was-run").exists()


def test_the_json_of_a_plan(plan):
    plan_of = json.loads(plan("--json")[1])

    assert (plan_of["seconds"], plan_of["unknown"], plan_of["jobs"]) == (pytest.approx(9.7), 1, 2)
    assert [c["seconds"] for c in plan_of["cells"]] == [10.8, 8.6, 0.0, None]
    assert not any(c["cached"] for c in plan_of["cells"])


def test_a_plan_of_what_was_run(plan, run, call, suite_file):
    run()

    code, out, _ = call("plan", "--suite", suite_file())

    assert code == 0
    assert "Everything is in the store." in out


def test_a_dry_run_says_what_a_plan_says_and_writes_nothing(plan, call, suite_file, home):
    words = ("--suite", suite_file(), "--plugin", home / "mine.py", "--jobs", 2)

    code, out, err = call("run", *words, "--dry-run")

    assert (code, out, err) == plan()
    assert not (home / "results").exists()
    assert not list((home / "store").glob("records/*/*"))
