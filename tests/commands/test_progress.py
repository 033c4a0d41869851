"""Lines of progress without a terminal."""

import re
import time

import pytest
from rich.console import Console

from mubench.commands.console import make_console
from mubench.commands.estimate import Forecast
from mubench.commands.progress import SILENCE, Lines, progress
from mubench.running.outcome import Outcome
from mubench.running.pulse import Pulse


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
            report.finish(Outcome(cell, status, "why" if status == "failed" else "", seconds))
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

    with progress(console, named(cells), Forecast(cells, {}, 1)) as shown:
        for cell in cells[:2]:
            shown.finish(Outcome(cell, "ok", "", 2.0))

    shown = capsys.readouterr().err
    assert "Retrain, seed 4" in shown
    assert "2/4" in shown
    assert "about 4.0 s left" in shown


def test_a_terminal_shows_the_running_cell_its_epoch_and_time_left(cells, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("mubench.commands.progress.TICK", 0.01)
    console, now = Console(stderr=True), time.time()

    with progress(console, named(cells), Forecast(cells, {}, 1)) as shown:
        pulse = f"{now - 60} 31 182 {now}"
        (shown.pulse / cells[0].key).write_text(pulse, encoding="ascii")
        time.sleep(0.4)  # rich draws ten times a second

    drawn = capsys.readouterr().err
    assert "Retrain, seed 3: epoch 31 of 182" in re.sub(r"\x1b\[[\d;]*m", "", drawn)
    assert "about 5 min left" in drawn  # 152 epochs of 2 s
    codes = {c for group in re.findall(r"\x1b\[([\d;]*)m", drawn) for c in group.split(";")}
    assert codes <= {"0", "34", "90"}, "the terminal's own blue and grey, which its theme makes legible"


def test_after_long_silence_a_line_says_how_far_the_cells_are(cells):
    lines, now = [], [0.0]
    report = Lines(lines.append, named(cells), Forecast(cells, {}, 1), clock=lambda: now[0])
    began = time.time() - 60
    running = {cells[0].key: Pulse(began, 31, 182, began + 60), cells[2].key: Pulse(began)}

    report.look(running)
    now[0] = SILENCE - 1
    report.look(running)
    assert lines == []
    now[0] = SILENCE
    report.look(running)
    report.look(running)

    assert lines == ["Retrain, seed 3: epoch 31 of 182, about 5 min left", "FT, seed 3: begun, 60 s so far"]
