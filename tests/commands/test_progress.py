"""Lines of progress without a terminal."""

import pytest

from mubench.commands.console import make_console
from mubench.commands.estimate import Forecast
from mubench.commands.progress import Lines, progress
from mubench.running.executor import Outcome


@pytest.fixture
def cells(bench):
    """The methods' cells of Retrain and FT at two seeds, without their originals."""
    plan = bench('seeds = [3, 4]\nmethods = ["FT"]', dry=True)
    return [c for c in plan.cells if c.spec and c.spec.name in ("Retrain", "FT")]


def named(cells):
    return {c.key: f"{c.spec.name}, seed {c.seed}" for c in cells}


@pytest.fixture
def told(cells):
    """`told(steps, jobs=1)`: the lines that (status, seconds taken, time on the clock) of each cell give."""

    def tell(*steps, jobs=1):
        lines, now = [], [0.0]
        report = Lines(lines.append, named(cells), Forecast(cells, {}, jobs), clock=lambda: now[0])
        for cell, (status, seconds, now[0]) in zip(cells, steps, strict=False):
            report(Outcome(cell, status, "why" if status == "failed" else "", seconds))
        return lines

    return tell


def test_a_line_says_which_cell_how_long_and_how_long_still(told):
    lines = told(("ok", 2, 2), ("ok", 4, 6), ("ok", 10, 16), ("ok", 30, 46))

    assert lines == [
        "[1/4] Retrain, seed 3: 2.0 s; about 6.0 s left",
        "[2/4] Retrain, seed 4: 4.0 s; about 6.0 s left",
        "[3/4] FT, seed 3: 10 s; about 10 s left",
        "[4/4] FT, seed 4: 30 s",
    ]


def test_two_jobs_take_half_the_time(told):
    assert told(("ok", 2, 2), jobs=2) == ["[1/4] Retrain, seed 3: 2.0 s; about 3.0 s left"]


def test_quick_cells_get_a_line_a_second_but_failures_and_the_last_always(told):
    lines = told(("ok", 0.1, 0.1), ("ok", 0.1, 0.2), ("failed", 0.1, 0.3), ("ok", 0.1, 0.4))

    assert [line[:6] for line in lines] == ["[1/4] ", "[3/4] ", "[4/4] "]
    assert lines[1] == "[3/4] FT, seed 3: FAILED: why; about 0.1 s left"


def test_a_run_without_a_terminal_tells_its_progress(run, plugin_file):
    path = plugin_file("""
    @method("a\\x1b[2Jb")
    def named(model, task):
        pass
    """)

    code, out, err = run("--plugin", path, change="floor = true")

    assert code == 0
    assert "[1/5] original model, seed 0: " in err
    assert r"[5/5] a\x1b[2Jb, seed 0: " in err, "a name cannot steer the terminal"
    assert "[5/5]" not in out


def test_a_terminal_gets_a_bar_that_names_the_cell(cells, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    console = make_console(stderr=True)

    with progress(console, named(cells), Forecast(cells, {}, 1)) as report:
        for cell in cells[:2]:
            report(Outcome(cell, "ok", "", 2.0))

    shown = capsys.readouterr().err
    assert "Retrain, seed 4" in shown
    assert "2/4" in shown
    assert "about 4.0 s left" in shown
