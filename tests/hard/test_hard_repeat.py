"""What is done is never done again; what changed is, alone. Any number of jobs gives the same table."""

import shutil
import subprocess
import sys

import pandas as pd
import pytest
from click.testing import CliRunner

from mubench.cli import main

pytestmark = pytest.mark.slow

PLUGIN = """
from mubench import Step, cross_entropy_loss, method

@method("mine", sees="retain")
def mine(model, task, *, lr: float = {lr}):
    step = Step(model, cross_entropy_loss, lr)
    for x, y in task.retain:
        step(x, y)
"""


IMPORTS = """
import sys
from mubench.cli import main
try:
    main(sys.argv[1:])
finally:
    print(sorted({"torch", "sklearn", "scipy", "matplotlib"} & set(sys.modules)))
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
    words = run.words("--suite", str(run.folder / "other.toml"), "--out", str(run.folder / "other"))
    pictures = []
    for _ in range(2):
        found = CliRunner().invoke(main, words, catch_exceptions=False)
        assert found.exit_code == 0, found.output
        assert "4 cells, 4 of them in the store" in found.stderr
        drawn = {p.name: p.stat().st_mtime_ns for p in (run.folder / "other" / "plots").iterdir()}
        pictures.append(drawn)
    assert _made(run) == made
    assert len([name for name in pictures[0] if name.endswith(".png")]) >= 2
    assert pictures[0] == pictures[1]
    done = subprocess.run(
        [sys.executable, "-P", "-c", IMPORTS, *words], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "[]"), (
        "a run of what is stored imports them"
    )


def test_two_jobs_and_times_taken_alone_give_the_same_table(run, undisturbed):
    code, _, said = run.knows(undisturbed).finish("--jobs", "2")

    assert code == 0, said
    run.assert_like(undisturbed)

    code, _, said = run.finish("--exclusive-timing")

    assert code == 0, said
    run.assert_like(undisturbed)


def test_two_runs_on_one_store_share_the_work(run, undisturbed):
    run.knows(undisturbed)
    both = [run.start("--jobs", "1", "--out", str(run.folder / f"out{i}")) for i in range(2)]
    for process in both:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said

    tables = [pd.read_csv(run.folder / f"out{i}" / "cells.csv") for i in range(2)]
    pd.testing.assert_frame_equal(*tables)  # times too: each cell was run once
    assert not list((run.store / "damaged").glob("*"))
    run.out = run.folder / "out0"
    run.assert_like(undisturbed)


def test_a_damaged_record_is_set_aside_and_made_again(run, undisturbed):
    shutil.copytree(undisturbed.store, run.store)
    broken = next(p for p in run.records() if (p / "outputs.safetensors").stat().st_size > 1000)
    file = broken / "outputs.safetensors"
    file.write_bytes(file.read_bytes()[:100])

    code, _, said = run.finish()

    assert code == 0, said
    assert "damaged record was set aside" in said
    run.assert_like(undisturbed)
