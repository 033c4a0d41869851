"""What lands on disk, and what is left alone there."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mubench.reporting.histograms import Histogram
from mubench.reporting.plots import draw as plots
from mubench.reporting.render import make_report, write_plots, write_tables
from mubench.reporting.summary import summarise

TABLES = ["table.md", "table.tex", "table-standalone.tex", "table.csv", "cells.csv", "differences.csv"]
PICTURES = [
    f"{n}.{e}"
    for n in ("avg_gap", "forget_vs_utility", "cost_vs_gap", "confidence")
    for e in ("png", "svg", "pdf")
]


def render(cells, scores, out, *, plots=True, **words):
    report = make_report(cells, **words)
    return [*write_tables(report, out), *(write_plots(report, scores, out) if plots else [])]


def content(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def stamps(folder):
    return {p.name: p.stat().st_mtime_ns for p in (folder / "plots").iterdir()}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """One rendering of three rows, for the tests that look at it and at what a second one does."""
    rng = np.random.default_rng(1)
    names = {"Retrain": "reference", "Original": "baseline", "FT": "method"}
    cells = pd.DataFrame(
        {
            "method": m,
            "role": r,
            "seed": s,
            "status": "ok",
            "reason": "",
            "rte_shared": False,
            "key": f"{m}{s}",
        }
        | dict(zip(("ua", "ra", "ta", "mia", "mia_svc", "rte"), rng.uniform(1, 9, 6), strict=True))
        | {"forward": 100 + s}
        for m, r in names.items()
        for s in (0, 1)
    )
    scores = {m: {p: Histogram.of(rng.normal(5, 2, 50)) for p in ("forget", "retain", "test")} for m in names}
    out = tmp_path_factory.mktemp("drawn")
    return cells, scores, out, render(cells, scores, out, caption="Caption.", notes=["a note"])


def test_everything_is_written_and_nothing_else(drawn):
    _, _, out, paths = drawn
    assert [p.relative_to(out).as_posix() for p in paths] == [*TABLES, *(f"plots/{p}" for p in PICTURES)]
    assert sorted(content(out)) == sorted([*TABLES, "plots/.digest", *(f"plots/{p}" for p in PICTURES)])


def test_table_csv_holds_the_summary_to_the_last_digit(drawn):
    cells, _, out, _ = drawn
    back = pd.read_csv(out / "table.csv", float_precision="round_trip")
    want = summarise(cells).numbers.reset_index()
    assert list(back) == list(want)
    pd.testing.assert_frame_equal(back, want, check_exact=True, check_dtype=False)


def test_cells_csv_holds_every_number_to_the_last_digit(drawn):
    cells, _, out, _ = drawn
    back = pd.read_csv(out / "cells.csv", keep_default_na=False, float_precision="round_trip")
    want = summarise(cells).cells
    pd.testing.assert_frame_equal(back, want, check_exact=True, check_dtype=False)


def test_cells_csv_of_rows_without_numbers(tmp_path, sixteen):
    render(sixteen(), {}, tmp_path, caption="c", plots=False)
    back = pd.read_csv(tmp_path / "cells.csv", dtype=str, keep_default_na=False).set_index("method")
    assert back.loc["BE", "status"].tolist() == ["ok", "ok", "FAILED"]
    assert back.loc["BE", "seed"].tolist() == ["0", "1", "2"]
    assert back.loc["BE", "ua"].iloc[2] == back.loc["SISA", "ua"] == back.loc["SISA", "seed"] == ""


def test_the_same_cells_give_the_same_bytes(drawn, tmp_path):
    cells, scores, out, _ = drawn
    render(cells, scores, tmp_path, caption="Caption.", notes=["a note"])
    assert content(tmp_path) == content(out)


def test_unchanged_pictures_are_not_drawn_again_nor_matplotlib_loaded(drawn):
    cells, scores, out, paths = drawn
    before = stamps(out)
    code = (
        "import sys; import pandas as pd; from pathlib import Path\n"
        "from mubench.reporting.render import make_report, write_plots, write_tables\n"
        f"cells = pd.read_pickle({str(out.parent / 'cells.pkl')!r})\n"
        f"scores = pd.read_pickle({str(out.parent / 'scores.pkl')!r})\n"
        f"out, report = Path({str(out)!r}), make_report(cells, caption='Another caption.')\n"
        "paths = [*write_tables(report, out), *write_plots(report, scores, out)]\n"
        "print(len(paths), 'matplotlib' in sys.modules, 'torch' in sys.modules)"
    )
    cells.to_pickle(out.parent / "cells.pkl")
    pd.to_pickle(scores, out.parent / "scores.pkl")
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split() == [str(len(paths)), "False", "False"]
    assert stamps(out) == before
    assert "Another caption." in (out / "table.md").read_text(encoding="utf-8")


@pytest.fixture
def quick(monkeypatch):
    """Pictures that are quick to draw and tell their numbers; the list grows with every drawing."""
    made = []

    def pictures(shown, width):
        made.append((shown, width))
        names = ["avg_gap.png", "confidence.png"] if len(shown.rows) else []
        return {name: shown.digest().encode() for name in names}

    monkeypatch.setattr(plots, "_pictures", pictures)
    return made


def test_a_changed_number_score_or_lost_picture_is_drawn_again(drawn, tmp_path, quick):
    cells, scores, _, _ = drawn
    render(cells, scores, tmp_path, caption="c")
    first = content(tmp_path)
    render(cells, scores, tmp_path, caption="c")
    assert len(quick) == 1
    (tmp_path / "plots" / "avg_gap.png").unlink()
    render(cells, scores, tmp_path, caption="c")
    assert len(quick) == 2
    assert content(tmp_path) == first
    nudged = scores | {"FT": scores["FT"] | {"forget": replace(scores["FT"]["forget"], first=0)}}
    render(cells, nudged, tmp_path, caption="c")
    assert len(quick) == 3
    render(cells.assign(ta=cells["ta"] * (1 + 1e-12)), nudged, tmp_path, caption="c")
    assert len(quick) == 4
    assert content(tmp_path)["plots/avg_gap.png"] != first["plots/avg_gap.png"]


def test_another_width_is_drawn_again(drawn, tmp_path, quick):
    cells, scores, _, _ = drawn
    report = make_report(cells, caption="c")
    for width in ("screen", "screen", "column", "column", "screen"):
        write_plots(report, scores, tmp_path, width)

    assert [width for _, width in quick] == ["screen", "column", "screen"]


def test_pictures_that_no_longer_apply_go_and_strangers_stay(drawn, tmp_path, make, quick):
    cells, scores, _, _ = drawn
    stranger = tmp_path / "plots" / "mine.png"
    stranger.parent.mkdir()
    stranger.write_bytes(b"mine")
    render(cells, scores, tmp_path, caption="c")
    assert (tmp_path / "plots" / "avg_gap.png").exists()
    died = pd.DataFrame([make("Retrain", "reference", 0, [], status="FAILED", reason="boom")])
    paths = render(died, {}, tmp_path, caption="c")
    assert [p.name for p in paths] == TABLES
    assert sorted(p.name for p in (tmp_path / "plots").iterdir()) == [".digest", "mine.png"]
    assert stranger.read_bytes() == b"mine"


def test_a_drawing_that_breaks_off_is_not_taken_for_done(drawn, tmp_path, monkeypatch, quick):
    cells, scores, _, _ = drawn
    render(cells, scores, tmp_path, caption="c")
    other = cells.assign(ua=cells["ua"] + cells["seed"])

    def full(*_):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(plots, "write_atomic", full)
        with pytest.raises(OSError, match="disk full"):
            render(other, scores, tmp_path, caption="c")
    # Some pictures may already be the new ones, so the old numbers' must be drawn again as well.
    render(cells, scores, tmp_path, caption="c")
    assert len(quick) == 3


@pytest.mark.parametrize(
    "junk", ["", "{", "[]", '{"digest": 1}', '{"digest": "x", "files": ["../table.md"]}']
)
def test_a_spoilt_digest_costs_a_drawing_and_nothing_else(tmp_path, make, junk):
    cells = pd.DataFrame([make("Retrain", "reference", 0, [], status="missing", reason="not run")])
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / ".digest").write_text(junk)
    assert [p.name for p in render(cells, {}, tmp_path, caption="c")] == TABLES
    assert all((tmp_path / name).exists() for name in TABLES)


def test_tables_alone(drawn, tmp_path):
    cells, scores, _, _ = drawn
    assert [p.name for p in render(cells, scores, tmp_path, caption="c", plots=False)] == TABLES
    assert sorted(content(tmp_path)) == sorted(TABLES)


def test_csv_has_plain_newlines(drawn):
    data = (drawn[2] / "cells.csv").read_bytes()
    assert b"\r" not in data
    assert pd.read_csv(io.BytesIO(data)).shape[0] == len(drawn[0])
