"""The pictures as a reader needs them: nothing covered, nothing cut off, the same every time."""

from __future__ import annotations

import itertools
import os
import re

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from mubench.reporting import parallel
from mubench.reporting.histograms import Histogram
from mubench.reporting.plots import bars, confidence, draw, labels, scatter, style
from mubench.reporting.plots.shown import Shown
from mubench.reporting.summary import summarise

PICTURES = {
    "avg_gap": bars.avg_gap,
    "forget_vs_utility": scatter.forget_vs_utility,
    "cost_vs_gap": scatter.cost_vs_gap,
    "confidence": confidence.confidence,
}


def overlaps(a, b):
    return min(a.x1, b.x1) - max(a.x0, b.x0) > 0.5 and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.5


def picture(name, cells, scores):
    return PICTURES[name](Shown.of(summarise(cells), scores))


def words(figure):
    return " ".join(t.get_text() for t in figure.findobj(Text))


CASES = {
    "three seeds": {},
    "one seed": {"seeds": 1, "draw": 3},
    "crowded": {"draw": 4, "spread": 0.1},
    "all on one spot": {"draw": 5, "spread": 0.0},
}


# Which panels there are is all that matters to the last one's layout.
PAIRS = [(n, c) for n in PICTURES for c in CASES if n != "confidence" or c in ("three seeds", "one seed")]


@pytest.mark.parametrize(("name", "case"), PAIRS)
def test_no_text_covers_another_or_leaves_the_figure(name, case, sixteen, scores, drawn_texts):
    cells = sixteen(**CASES[case])
    with style.style():
        figure = picture(name, cells, scores(cells))
        texts = drawn_texts(figure)
    # BE failed and SISA was skipped; Original takes no time; the reference is not compared with itself.
    least = {"avg_gap": 13, "forget_vs_utility": 14, "cost_vs_gap": 13, "confidence": 14}
    assert len(texts) > least[name]
    for (one, a), (two, b) in itertools.combinations(texts, 2):
        assert not overlaps(a, b), (one, two)
    for text, box in texts:
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height
        assert inside, text


@pytest.mark.parametrize(("width", "inches"), [("page", 6.75), ("column", 3.25)])
@pytest.mark.parametrize("name", PICTURES)
def test_in_a_paper_no_text_covers_another_or_leaves_the_figure(
    name, width, inches, sixteen, scores, drawn_texts
):
    cells = sixteen()
    with style.style(width):
        figure = picture(name, cells, scores(cells))
        texts = drawn_texts(figure)
        pdf = style.encode(figure, "pdf")

    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", pdf)
    assert [float(side) / 72 for side in box.groups()] == pytest.approx([inches, figure.get_figheight()])
    assert len(texts) >= 13
    for (one, a), (two, b) in itertools.combinations(texts, 2):
        assert not overlaps(a, b), (one, two)
    for text, box in texts:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= figure.bbox.width, text
        assert box.y1 <= figure.bbox.height, text


@pytest.mark.parametrize("name", ["forget_vs_utility", "cost_vs_gap"])
@pytest.mark.parametrize("case", CASES)
def test_no_name_covers_a_point(name, case, sixteen, scores, drawn_texts):
    cells = sixteen(**CASES[case])
    with style.style():
        figure = picture(name, cells, scores(cells))
        names = set(cells["method"])
        texts = [(t, b) for t, b in drawn_texts(figure) if t.split(" (UA")[0].split(" (Avg")[0] in names]
        (ax,) = figure.axes
        markers = [line for line in ax.get_lines() if line.get_marker() not in ("None", "", None)]
        spots = np.array([ax.transData.transform(line.get_xydata()[0]) for line in markers])
    assert len(spots) == len(texts) >= 13
    reach = 3.5 * figure.dpi / 72
    for text, box in texts:
        beyond = np.maximum(np.maximum([box.x0, box.y0] - spots, spots - [box.x1, box.y1]), 0).max(axis=1)
        assert (beyond >= reach).all(), text


def test_labels_find_room_wherever_the_points_are(drawn_texts):
    rng = np.random.default_rng(0)
    for spread in (0.01, 0.05, 0.3):
        with style.style():
            figure = style.figure(5.2)
            ax = figure.add_axes((0.1, 0.1, 0.88, 0.88), xlim=(0, 1), ylim=(0, 1))
            points = np.clip(rng.normal(0.5, spread, (16, 2)), 0, 1)
            texts = [f"WSS-CL literal {i}" for i in range(16)]
            notes = labels.place(ax, points, texts)
            boxes = [b for t, b in drawn_texts(figure) if t in texts]
            frame = ax.get_window_extent()
        assert len(boxes) == len(notes) == 16
        assert not any(overlaps(a, b) for a, b in itertools.combinations(boxes, 2))
        assert all(
            frame.x0 <= b.x0 and b.x1 <= frame.x1 and frame.y0 <= b.y0 and b.y1 <= frame.y1 for b in boxes
        )


@pytest.mark.parametrize(
    ("name", "ending"), [*((n, e) for n in PICTURES for e in ("svg", "pdf")), ("avg_gap", "png")]
)
def test_the_same_numbers_give_the_same_bytes(name, ending, sixteen, scores):
    cells = sixteen()

    def encoded():
        with style.style():
            return style.encode(picture(name, cells, scores(cells)), ending)

    first = encoded()
    with mpl.rc_context(
        {"font.size": 20, "axes.grid": True, "svg.hashsalt": "mine"}
    ):  # a user's own settings
        assert encoded() == first
    assert first.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending])
    assert b"<dc:date>" not in first
    assert b"CreationDate" not in first


def test_drawing_leaves_global_settings_alone(sixteen, scores):
    cells, before = sixteen(), dict(mpl.rcParams)
    with style.style():
        style.encode(picture("avg_gap", cells, scores(cells)), "svg")
    assert dict(mpl.rcParams) == before


def test_a_row_far_astray_is_named_with_its_numbers_and_does_not_squash_the_rest(sixteen, scores):
    shown = Shown.of(summarise(sixteen()), {})
    with style.style():
        plane, bar, cost = (PICTURES[n](shown) for n in ("forget_vs_utility", "avg_gap", "cost_vs_gap"))
    ua, ta, gap = shown.rows.loc["GA", ["ua", "ta", "avg_gap_svc"]]
    assert ua > 85
    assert f"GA (UA {ua:.2f}, TA {ta:.2f})" in words(plane)
    assert f"GA (Avg. Gap (SVC) {gap:.2f})" in words(cost)
    assert f"▶ {gap:.2f}" in words(bar)
    assert plane.axes[0].get_xlim()[1] < 30
    assert cost.axes[0].get_ylim()[1] < gap / 2 > bar.axes[0].get_xlim()[1]


def test_bars_are_sorted_and_leave_the_reference_out(sixteen):
    shown = Shown.of(summarise(sixteen()), {})
    with style.style():
        figure = bars.avg_gap(shown)
    left = figure.axes[0]
    names = [t.get_text() for t in left.get_yticklabels()]
    want = shown.rows.drop(index="Retrain")["avg_gap_svc"].sort_values().index
    assert names == list(want)
    assert left.get_ylim()[0] > left.get_ylim()[1]  # the best on top
    widths = [patch.get_width() for patch in left.patches[: len(names)]]
    assert widths[:-1] == pytest.approx(shown.rows.loc[names[:-1], "avg_gap_svc"].tolist())


def test_dots_are_the_seeds_on_their_own(sixteen):
    shown = Shown.of(summarise(sixteen()), {})
    with style.style():
        left, right = bars.avg_gap(shown).axes
    for ax, column in ((left, "avg_gap_svc"), (right, "avg_gap")):
        marked = [line for line in ax.get_lines() if line.get_marker() not in ("None", "", "|")]
        dots = {round(v, 9) for line in marked for v in line.get_xdata()}
        seeds = shown.seeds[~shown.seeds["method"].isin(["Retrain", "GA"])]
        assert dots == {round(v, 9) for v in seeds[column]}


def test_a_bars_number_covers_neither_bar_nor_dot(sixteen, drawn_texts):
    shown = Shown.of(summarise(sixteen()), {})
    with style.style():
        figure = bars.avg_gap(shown)
        texts = drawn_texts(figure)
        for ax in figure.axes:
            far = max(v for line in ax.get_lines() for v in line.get_xdata())
            edge = ax.transData.transform((far, 0))[0]
            numbers = [b for t, b in texts if t.replace(".", "").isdigit() and b.intervaly[0] > ax.bbox.y0]
            numbers = [b for b in numbers if ax.bbox.x0 < b.x0 and b.x1 <= ax.bbox.x1 + 1]
            assert len(numbers) == 12  # all but the bar that is cut
            assert min(b.x0 for b in numbers) > edge


def test_doing_nothing_is_left_out_of_the_cost_and_said_to_be(sixteen):
    with style.style():
        figure = scatter.cost_vs_gap(Shown.of(summarise(sixteen()), {}))
    assert "Not shown, as it takes no time: Original" in figure.axes[0].get_xlabel()
    names = [t.get_text() for t in figure.axes[0].texts]
    assert "Original" not in names
    assert "Retrain" in names


def test_without_a_reference_no_gaps_are_drawn(sixteen, scores):
    cells = sixteen()
    cells.loc[cells["role"] == "reference", "status"] = "FAILED"
    with style.style():
        made = {name: picture(name, cells, scores(cells)) for name in PICTURES}
    assert [name for name, figure in made.items() if figure is None] == ["avg_gap", "cost_vs_gap"]
    assert "cross-hair" not in words(made["forget_vs_utility"])


def test_nothing_is_drawn_of_nothing(sixteen, scores):
    cells = sixteen().assign(status="FAILED")
    shown = Shown.of(summarise(cells), scores(cells))
    with style.style():
        assert [p(shown) for p in PICTURES.values()] == [None] * 4
    whole = sixteen()
    assert confidence.confidence(Shown.of(summarise(whole), {})) is None


def test_confidence_counts_every_image_once(sixteen, scores):
    cells = sixteen()
    given = scores(cells)
    given["FT"]["forget"] = Histogram.of(np.array([-np.inf, -1e6, 5.0, 5.0, 1e6, np.inf, np.nan]))
    with style.style():
        figure = confidence.confidence(Shown.of(summarise(cells), given))
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[0] == "Retrain"
    assert "BE" not in titles
    forget = figure.axes[titles.index("FT")].patches[0].get_data()
    assert forget.values.sum() == pytest.approx(1)
    assert forget.values[0] == forget.values[-1] == pytest.approx(2 / 6)
    assert -20 < forget.edges[0] < forget.edges[-1] < 30


def test_a_name_may_hold_a_dollar(make, scores):

    rows = [
        make("Retrain", "reference", 0, [5, 99, 94, 12, 12]),
        make("$5_a$ & co", "method", 0, [6, 99, 93, 12, 12]),
    ]
    cells = pd.DataFrame(rows)
    for name in PICTURES:
        with style.style():
            figure = picture(name, cells, scores(cells))
            assert b"<svg" in style.encode(figure, "svg")
        named = [t for t in figure.findobj(Text) if "$5_a$ & co" in t.get_text()]
        assert named
        assert not any(t.get_parse_math() for t in named), "it would be set as a formula"


def test_pictures_are_the_same_on_one_core_and_on_several(published, scores, monkeypatch):
    cells = published
    shown = Shown.of(summarise(cells), scores(cells))
    made = []
    for cores in (1, 2):
        monkeypatch.setattr(parallel, "cores", lambda cores=cores: cores)
        made.append(draw._pictures(shown, "column"))

    assert made[0] == made[1]
    assert [*made[0]] == [f"{name}.{ending}" for name in PICTURES for ending in ("png", "svg", "pdf")]


def test_a_picture_that_a_process_could_not_draw_is_drawn_again_and_says_what_is_wrong(monkeypatch):
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    here = os.getpid()

    def unless_forked(name):
        assert os.getpid() == here
        return style.figure(1.0)

    pictures = {name: lambda name=name: unless_forked(name) for name in "abcd"}
    assert len(draw._encoded(pictures, "screen")) == 12

    def broken():
        raise ValueError("no picture")

    with pytest.raises(ValueError, match="no picture"):
        draw._encoded({**pictures, "e": broken}, "screen")


def test_all_files_of_a_figure_have_one_layout(published, scores):
    """It is settled before the first is written, so that none moves what the others show."""
    with style.style("screen"):
        figure = picture("confidence", published, scores(published))
        style.encoded(figure, "a")
        first = [ax.get_position().bounds for ax in figure.axes]
        alone = picture("confidence", published, scores(published))
        alone.draw_without_rendering()

    assert first == [ax.get_position().bounds for ax in alone.axes]
    assert figure.get_layout_engine() is None
