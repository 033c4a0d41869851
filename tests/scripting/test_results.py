"""Results of a folder: frames, comparisons, pictures, HTML; on made-up numbers."""

import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure

import mubench
from mubench.errors import UsageError

sys.path.insert(0, str(Path(__file__).parents[1] / "commands"))
from test_compare import folder


@pytest.fixture
def results(home):
    """Six seeds of Retrain, Original, Near, Far and Alike; Far is 1 point of Avg. Gap (SVC) behind Near."""
    folder(home / "out")
    return mubench.load_results(home / "out", store=home / "store")


def test_frames(results):
    assert results.table.index.tolist() == ["Retrain", "Original", "Near", "Far", "Alike"]
    assert results.table.loc["Far", ["ua_gap", "ra_gap", "ta_gap", "mia_svc_gap"]].tolist() == [3, 4, 5, 12]
    assert results.table.loc["Far", "avg_gap_svc"] == pytest.approx(6)
    assert results.cells.groupby("method").size().eq(6).all()
    assert results.failures.columns.tolist() == ["method", "seed", "status", "reason"]


def test_frames_are_copies(results):
    for frame in (results.table, results.cells):
        frame["ua"] = 0.0

    assert results.table.loc["Retrain", "ua"] == 20
    assert results.cells["ua"].iloc[0] == 20


def test_compare(results):
    said = results.compare("Near", "Far")

    assert str(said).startswith("Near is closer to Retrain than Far by 1.00 points of Avg. Gap (SVC)")
    assert said.table.loc["mia_svc", ["Near", "Far", "difference"]].tolist() == pytest.approx([8, 12, -4])
    assert results.compare("Near", "Far", "MIA-SVC").lines[0].metric == "mia_svc"
    with pytest.raises(UsageError, match=r"unknown method 'Nearr'. Did you mean 'Near'"):
        results.compare("Nearr", "Far")


def test_plots(results):
    assert isinstance(results.plot("avg_gap"), Figure)
    assert results.plot("cost_vs_gap", width="column").get_size_inches()[0] == 3.25
    with pytest.raises(UsageError, match=r"unknown plot 'avg_gapp'. Did you mean 'avg_gap'"):
        results.plot("avg_gapp")
    with pytest.raises(UsageError, match="plot 'confidence' has nothing to show"):
        results.plot("confidence")


def test_html_is_the_table_and_escapes(home):
    folder(home / "out", failed=("Far",))
    html = mubench.load_results(home / "out")._repr_html_()

    assert html.count("<tr>") == 6
    assert "<td>Near</td>" in html
    assert "<li>Far: out of memory</li>" in html
    assert "<script" not in html


def test_text_is_the_terminals(results):
    lines = str(results).splitlines()

    assert lines[1].split()[:2] == ["Method", "UA"]
    assert "made up" in lines
    assert repr(results) == str(results)


def test_written_folders_are_read_again(results, home, no_pictures):
    results.write(home / "again")

    assert mubench.load_results(home / "again").table.equals(results.table)


def test_a_table_of_classes(home):
    folder(home / "out", classes=("cat", "dog"))
    results = mubench.load_results(home / "out")

    assert results.table.index.names == ["class", "method"]
    assert isinstance(results.plot("gap_by_class"), Figure)
    with pytest.raises(UsageError, match="unknown plot 'avg_gap'"):
        results.plot("avg_gap")


def test_nothing_there(home):
    (home / "empty").mkdir()
    with pytest.raises(UsageError, match=r"manifest.json: cannot be read"):
        mubench.load_results(home / "empty")
