"""What is done is never done again; what changed is, alone. Any number of jobs gives the same table."""

import pandas as pd
import pytest
from click.testing import CliRunner

from mubench.cli import main

PLUGIN = """
from mubench import Step, cross_entropy_loss, method

@method("mine", sees="retain")
def mine(model, task, *, lr: float = {lr}):
    step = Step(model, cross_entropy_loss, lr)
    for x, y in task.retain:
        step(x, y)
"""


def _made(run):
    """Record -> when it was written."""
    return {p.name: (p / "record.json").stat().st_mtime_ns for p in run.records()}


def test_only_what_is_new_is_trained_and_only_what_changed_is_drawn(run):
    assert run.finish()[0] == 0
    whole, before = run.cells(), _made(run)
    plugin = run.folder / "mine.py"

    seen = []
    for lr in (0.01, 0.02):
        plugin.write_text(PLUGIN.format(lr=lr), encoding="utf-8")
        code, _, said = run.finish("--plugin", str(plugin))
        assert code == 0, said
        assert f"5 cells, {len(before)} of them in the store" in said
        made = _made(run)
        assert before.items() < made.items()
        assert len(made) == 5 + len(seen)
        seen.append(run.cells().set_index("method").loc["mine", "key"])
        pd.testing.assert_frame_equal(run.cells().iloc[:-1][whole.columns], whole, check_exact=True)
    assert seen[0] != seen[1]

    made = _made(run)
    (run.folder / "tiny.toml").rename(run.folder / "other.toml")
    places = ["--store", str(run.store), "--out", str(run.folder / "other")]
    pictures = []
    for _ in range(2):
        words = ["run", "--suite", str(run.folder / "other.toml"), *places, "--jobs", "0"]
        found = CliRunner().invoke(main, words, catch_exceptions=False)
        assert found.exit_code == 0, found.output
        assert "4 cells, 4 of them in the store" in found.stderr
        drawn = {p.name: p.stat().st_mtime_ns for p in (run.folder / "other" / "plots").iterdir()}
        pictures.append(drawn)
    assert _made(run) == made
    assert len([name for name in pictures[0] if name.endswith(".png")]) >= 2
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize("jobs", [1, 3])
def test_any_number_of_jobs_and_times_taken_alone_give_the_same_table(run, undisturbed, jobs):
    run.knows(undisturbed)
    process = run.start("--jobs", str(jobs))
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    run.assert_like(undisturbed)

    code, _, said = run.finish("--exclusive-timing")

    assert code == 0, said
    run.assert_like(undisturbed)
