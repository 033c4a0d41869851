"""The table and the picture of every class forgotten in turn, against numbers made by hand."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from mubench.reporting import classes, formats
from mubench.reporting.plots import heat, style
from mubench.reporting.render import make_report, write_plots, write_tables


def by_hand(make, fta=(0.0, 0.0)):
    """Two classes, two seeds; FT is 2 points above Retrain's RA for one class and 4 below for the other."""
    cells = []
    for k, (name, off) in enumerate({"cat": 2.0, "dog": -4.0}.items()):
        for seed in (0, 1):
            base = [100.0, 90.0, 80.0 + k, 50.0, 60.0]
            moved = [100.0, 90.0 + off, 80.0 + k + seed, 50.0, 68.0]
            more = {"fta": fta[k], "class": name, "key": ""}
            cells.append(make("Retrain", "reference", seed, base, rte=10.0, **more))
            cells.append(make("FT", "method", seed, moved, rte=2.0 + 2 * k, **more))
    frame = pd.DataFrame(cells)
    return frame[["class", *frame.columns.drop("class")]]


def render(cells, out, caption):
    report = make_report(cells, caption=caption)
    return [*write_tables(report, out), *write_plots(report, {}, out)]


@pytest.fixture
def many(sixteen):
    """`many(names)`: the sixteen rows for each of these classes."""

    def of(names, **options):
        frames = {n: sixteen(draw=i, **options).assign(fta=1.0 * i) for i, n in enumerate(names)}
        return pd.concat(frames, names=["class"]).reset_index("class").reset_index(drop=True)

    return of


def test_the_mean_over_the_classes_by_hand(make):
    numbers = classes.summarise_classes(by_hand(make, fta=(10.0, 30.0))).numbers.set_index(
        ["class", "method"]
    )
    cat, dog, mean = (numbers.loc[(k, "FT")] for k in ("cat", "dog", "mean"))

    assert numbers.index.tolist() == [(k, m) for k in ("cat", "dog", "mean") for m in ("Retrain", "FT")]
    assert (cat["ra_gap"], dog["ra_gap"]) == (2.0, 4.0)
    # the mean of the gaps, 3, and not the gap of the means, |92 - 90 + 86 - 90| / 2 = 1
    assert (mean["ra"], mean["ra_gap"]) == (89.0, 3.0)
    # UA 0, RA, TA 0.5 and MIA-SVC 8
    assert (cat["avg_gap_svc"], dog["avg_gap_svc"]) == (10.5 / 4, 12.5 / 4)
    assert mean["avg_gap_svc"] == 11.5 / 4
    assert mean["avg_gap"] == (2.5 + 4.5) / 2 / 4
    # TA: 80.5 at seed 0 and 81.5 at seed 1, both classes together
    assert mean["ta"] == 81.0
    assert mean["ta_std"] == pytest.approx(np.sqrt(0.5))
    assert (mean["fta"], mean["rte"], mean["rte_ratio"]) == (20.0, 3.0, 0.3)
    # seed by seed: (2 + 0) / 4, (2 + 1) / 4 and (4 + 0) / 4, (4 + 1) / 4
    assert mean["avg_gap_svc_seed_mean"] == pytest.approx((2 + 3 + 4 + 5 + 4 * 8) / 16)
    assert mean["avg_gap_svc_seed_std"] == pytest.approx(np.std([3 / 4, 4 / 4], ddof=1))
    assert (numbers.loc[("mean", "Retrain"), ["ra_gap", "avg_gap", "avg_gap_svc"]] == 0).all()


def test_a_cells_gap_is_to_its_own_classs_reference(make):
    gaps = classes.summarise_classes(by_hand(make)).cells.set_index(["class", "method", "seed"])["avg_gap"]

    assert gaps["cat"]["FT"].tolist() == [2 / 4, 3 / 4]
    assert gaps["dog"]["FT"].tolist() == [4 / 4, 5 / 4]


def test_a_missing_number_is_no_smaller_sample(make):
    cells = by_hand(make)
    bad = (cells["class"] == "dog") & (cells["method"] == "FT") & (cells["seed"] == 1)
    cells.loc[bad, ["status", "reason"]] = ["FAILED", "out of memory"]
    cells.loc[bad, ["ua", "ra", "ta", "mia", "mia_svc", "fta", "rte"]] = np.nan

    numbers = classes.summarise_classes(cells).numbers.set_index(["class", "method"])
    table = classes.build(classes.summarise_classes(cells), caption="c")

    assert numbers.loc[(["dog", "mean"], "FT"), "status"].tolist() == ["FAILED", "FAILED"]
    assert numbers.loc[("mean", "FT")].drop("status").isna().all()
    assert numbers.loc[("cat", "FT"), "ra"] == 92.0
    assert "FT (dog): FAILED. seed 1: out of memory" in table.notes


def test_without_a_reference_in_one_class_there_is_no_mean_of_gaps(make):
    cells = by_hand(make)
    bad = (cells["class"] == "dog") & (cells["method"] == "Retrain")
    cells.loc[bad, ["status", "reason"]] = ["FAILED", "no"]

    numbers = classes.summarise_classes(cells).numbers.set_index(["class", "method"])

    assert numbers.loc[("cat", "FT"), "ra_gap"] == 2.0
    assert numbers.loc[(["dog", "mean"], "FT"), ["ra_gap", "avg_gap_svc"]].isna().all(axis=None)
    assert numbers.loc[("mean", "FT"), "ra"] == 89.0


def test_the_table_has_a_block_per_class_and_one_for_the_mean(make):
    table = classes.build(classes.summarise_classes(by_hand(make)), caption="Caption.", notes=["a note"])

    assert table.header == ("Class", "Method", "UA", "RA", "TA", "Forgotten TA", "MIA-SVC", "Avg. Gap (SVC)")
    assert [row[0].text for row in table.rows] == ["cat", "", "dog", "", "mean", ""]
    assert [row[1].text for row in table.rows] == ["Retrain", "FT"] * 3
    assert table.rows[1][3].text == "92.00 ± 0.00 (2.00)"
    assert not table.rows[1][3].bold, "one row alone wins nothing"
    assert (table.labels, table.blocks) == (2, (0, 2, 4))
    assert table.notes[-1] == "a note"


def test_blocks_are_set_apart_in_every_format(make):
    from rich.console import Console

    table = classes.build(classes.summarise_classes(by_hand(make)), caption="c")
    tex = formats.latex(table).splitlines()
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(formats.terminal(table))
    shown = console.export_text().splitlines()

    assert tex.count(r"\midrule") == 3
    assert tex[tex.index(r"\toprule") - 1] == r"\begin{tabular}{@{}llrrrrrr@{}}"
    assert tex[[line.startswith("dog") for line in tex].index(True) - 1] == r"\midrule"
    assert formats.markdown(table).splitlines()[1].count("| :-") == 2
    dog = next(i for i, line in enumerate(shown) if line.strip().startswith("dog"))
    assert not shown[dog - 1].strip()


def test_the_files_begin_with_the_class(make, tmp_path):
    cells = by_hand(make)

    paths = render(cells, tmp_path, "c")
    table, back = (pd.read_csv(tmp_path / f"{n}.csv") for n in ("table", "cells"))

    assert [p.name for p in paths[-3:]] == [f"gap_by_class.{e}" for e in ("png", "svg", "pdf")]
    pd.testing.assert_frame_equal(
        table, classes.summarise_classes(cells).numbers, check_exact=True, check_dtype=False
    )
    assert back.columns[0] == "class"
    assert len(back) == 8
    before = {p: p.stat().st_mtime_ns for p in paths[-3:]}
    render(cells, tmp_path, "another")
    assert {p: p.stat().st_mtime_ns for p in paths[-3:]} == before
    render(cells.replace({"ra": 92.0}, 93.0), tmp_path, "another")
    assert all(p.stat().st_mtime_ns > stamp for p, stamp in before.items())


LONG = [f"aquatic_mammals_{i}" for i in range(20)]


@pytest.mark.parametrize("names", [["0", "1"], list("0123456789"), LONG], ids=["two", "ten", "long"])
@pytest.mark.parametrize("rows", [3, 16])
def test_no_text_of_the_map_covers_another_or_leaves_it(names, rows, many, drawn_texts):
    cells = many(names)
    cells = cells[cells["method"].isin(cells["method"].unique()[:rows])]
    summary = classes.summarise_classes(cells)
    numbers = summary.numbers
    with style.style():
        figure = heat.gap_by_class(summary)
        texts = drawn_texts(figure)

    shown = numbers[(numbers["method"] != "Retrain") & numbers["avg_gap_svc"].notna()]
    assert len(texts) > len(shown), "a number for each cell, and the names"
    for (one, a), (two, b) in itertools.combinations(texts, 2):
        wide, high = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert not (wide > 0.5 and high > 0.5), (one, two)
    for text, box in texts:
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height
        assert inside, text


def test_the_map_shows_the_tables_numbers_without_the_reference(make):
    with style.style():
        figure = heat.gap_by_class(classes.summarise_classes(by_hand(make)))
    said = [t.get_text() for t in figure.findobj(Text)]

    assert {"cat", "dog", "mean", "FT", "2.62", "3.12", "2.88"} <= set(said)
    assert "Retrain" not in said


def test_without_a_number_there_is_no_map(make):
    cells = by_hand(make)

    assert heat.gap_by_class(classes.summarise_classes(cells[cells["method"] == "Retrain"])) is None
