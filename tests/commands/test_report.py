"""The report: one file that holds the numbers of its folder and asks nobody for anything."""

import json
import re
import shutil
from html import unescape
from pathlib import Path

import pandas as pd
import pytest
from reports import PUBLISHED, Page


def test_the_table_holds_the_numbers_of_table_csv(report):
    shown = Page(report()).table("results")
    numbers = pd.read_csv(PUBLISHED / "table.csv").set_index("method")

    assert list(shown.index) == list(numbers.index)
    for title, name in (("UA", "ua"), ("TA", "ta"), ("Avg. Gap (SVC)", "avg_gap_svc")):
        assert [text.split()[0] for text in shown[title]] == [f"{v:.2f}" for v in numbers[name]]


def test_marks_say_their_numbers(report):
    numbers = pd.read_csv(PUBLISHED / "table.csv").set_index("method")
    titles = Page(report()).titles

    for name, row in numbers.iterrows():
        if name != "Retrain":
            gap, low, high = (row[f"avg_gap_svc{end}"] for end in ("", "_low", "_high"))
            told = f"{name}: Avg. Gap (SVC) {gap:.2f} [{low:.2f}, {high:.2f}] points"
            assert any(t.startswith(told) for t in titles)
        assert any(t.startswith(f"{name}: UA {row['ua']:.2f} ± {row['ua_std']:.2f}, TA") for t in titles)


def test_it_asks_nobody_and_is_the_same_each_time(report):
    text = report()

    assert text == report()
    page = Page(text)
    assert all(address.startswith(("#", "data:image/svg+xml;base64,")) for address in page.addresses)
    assert not page.tags & {"link", "iframe", "object", "image", "use", "base", "form"}
    assert "default-src 'none'" in unescape(text)
    assert "url(" not in text
    assert "@import" not in text


def test_without_records_the_page_says_what_it_lacks(report):
    page = Page(report())

    assert "There is no map. It needs the stored features" in page.sections["feature-map"]
    assert "None: every cell has its numbers." in page.sections["failures"]


def test_where_the_records_are_there_each_method_is_told_of(report, failing_run, home):
    page = Page(report(failing_run, "--store", home / "store"))
    cells = pd.read_csv(failing_run / "cells.csv")
    methods = page.sections["methods"]

    own = cells[cells["method"] == "FT"]
    ledger = next(
        page.table("methods", n)
        for n, (_, rows) in enumerate(t for t in page.tables if t[0] == "methods")
        if own["key"].iloc[0][:12] in {row[-1] for row in rows}
    )
    assert list(ledger.index) == ["seed 0", "seed 1", "mean"]
    assert ledger["forward passes"].tolist()[:2] == [f"{n:,.0f}" for n in own["forward"]]
    assert float(ledger.loc["mean", "time, s"].rstrip("*")) == pytest.approx(own["rte"].mean(), abs=5e-4)
    assert "Phase 1: min KL" in methods
    assert "Source: Tran and Le 2025" in methods
    assert "kl_after_phase_1" in methods
    assert "epochs1 (default 10)" in methods
    assert "This method is not installed here." in methods  # a plugin's, without the plugin
    assert re.search(r"FT: area \d+\.\d %", methods)
    assert "seed 0: pale dots are retain images" in page.sections["feature-map"]
    maps = [t for t in page.titles if "of the variance is in this plane" in t]
    named = {row for row in cells["method"] if row != "Loud"}
    assert {t.partition(":")[0] for t in maps} == named


def test_splits_and_environment_are_those_of_the_manifest(report, failing_run, home):
    page = Page(report(failing_run, "--store", home / "store"))
    manifest = json.loads((failing_run / "manifest.json").read_text())

    splits = page.table("splits")
    for seed, facts in manifest["splits"].items():
        row = splits.loc[f"seed {seed}"]
        assert row["SHA-256 of the split"] == facts["digest"]
        assert row["forget"] == str(facts["forget"]["count"])
    assert manifest["data"]["sha256"] in page.sections["environment"]
    assert "Made on: " in page.sections["environment"]


def test_failures_have_their_reasons_and_nothing_is_taken_for_html(report, failing_run, home):
    text = report(failing_run, "--store", home / "store")
    page = Page(text)

    found = page.table("failures")
    assert list(found.index) == ["Loud", "Loud"]
    assert found["Seed"].tolist() == ["0", "1"]
    assert found["What happened"].str.startswith("FAILED. ValueError: <script>alert(1)</script>").all()
    assert text.count("<script") == 1
    assert not page.tags & {"i", "u"}
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)


def test_names_are_escaped_wherever_they_stand(report, failing_run, home):
    harmful = '"><img src=x onerror=alert(1)>'
    for file in ("manifest.json", "cells.csv", "histograms.json"):
        content = (failing_run / file).read_text(encoding="utf-8")
        name = harmful.replace('"', '\\"') if file.endswith("json") else harmful.replace('"', "")
        (failing_run / file).write_text(content.replace("FT", name), encoding="utf-8")

    page = Page(report(failing_run, "--store", home / "store"))

    assert "img" not in page.tags
    assert any(harmful in title for title in page.titles)


def test_what_a_manifest_says_besides_may_be_anything(report, failing_run):
    manifest = json.loads((failing_run / "manifest.json").read_text())
    for value in (None, [], "x", 3, {"0": []}, {"0": {"forget": 1}}, {"variants": [1, {"name": []}]}):
        extra = dict.fromkeys(("splits", "data", "resolved", "suite"), value)
        (failing_run / "manifest.json").write_text(json.dumps(manifest | extra), encoding="utf-8")
        assert "<h2>Splits</h2>" in report(failing_run)


def test_every_class_in_turn_has_its_table_and_its_map_of_gaps(report, run, home):
    change = 'forget = { scenario = "class", class = "all" }\nmethods = { FT = { epochs = 1 } }'
    assert run("--out", home / "out", change=change)[0] == 0

    page = Page(report(home / "out", "--store", home / "store"))

    table = page.table("results")
    assert list(dict.fromkeys(table.index)) == ["a", "b", "c", "mean"]
    assert table["Method"].tolist() == ["Retrain", "Original", "FT"] * 4
    assert sum(title.startswith("mean, FT: ") for title in page.titles) == 1
    assert page.table("splits").index[0] == "a, seed 0"


def test_it_is_written_beside_the_results_of_a_suite(failing_run, call, home):
    code, out, err = call("report", failing_run)

    assert (code, err) == (0, "")
    assert out == f"written to {failing_run / 'report.html'}\n"


def test_what_cannot_be_reported_or_written_is_refused_in_a_line(call, home):
    (home / "file").write_text("x")
    for words in ((home,), ("no-such-suite",), (PUBLISHED, "--out", home / "file" / "x.html")):
        code, out, err = call("report", *words)
        assert (code, out) == (2, "")
        assert len(err.splitlines()) == 1


def test_other_pictures_of_the_folder_are_shown_as_images(report, home):
    folder = Path(shutil.copytree(PUBLISHED, home / "copy"))
    (folder / "plots" / "of_its_own.svg").write_text("<svg><script>alert(1)</script></svg>", encoding="utf-8")

    text = report(folder)

    assert "of its own" in Page(text).sections["pictures"]
    assert text.count("<script") == 1
