"""The report: one file that holds the numbers of its folder, asks nobody for anything, and sorts."""

import json
import re
import shutil
import time
from base64 import b64decode
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from browser import CHROMIUM, Browser

PUBLISHED = Path(__file__).parents[2] / "results" / "published" / "digits-random-50"
SUITE = "seeds = [0, 1]\nfloor = true\nmethods = { FT = { epochs = 1 }, CL = { epochs = 1, epochs_kl = 1 } }"
MINE = """
@method("Mine", sees="forget")
def mine(model, task, *, lr: float = 0.1):
    "Does <i>nothing</i>.\\n\\n    And more."
    for _ in task.forget:
        pass
    task.log(steps=3, way="<u>up</u>")

@method("Loud", sees="forget")
def loud(model, task):
    "Fails."
    raise ValueError("<script>alert(1)</script>\\x1b[2J")
"""
VOID = {"meta", "img"}


class Page(HTMLParser):
    """What a page holds: tables as rows of texts, hover texts, addresses, and the text of each section."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.titles, self.addresses, self.tags, self.open = [], [], [], set(), []
        self.sections, self.section = {}, ""
        self.feed(text)
        self.close()
        assert not self.open, "a tag is not closed"

    def handle_starttag(self, tag, attributes):
        about = dict(attributes)
        self.tags.add(tag)
        self.addresses += [v for k, v in attributes if k in ("src", "href", "xlink:href") and v]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = about["id"]
        elif tag == "table":
            self.tables.append((self.section, []))
        elif tag == "tr":
            self.tables[-1][1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][1][-1].append("")
        elif tag == "title":
            self.titles.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.sections[self.section] = self.sections.get(self.section, "") + data
        if "td" in self.open or "th" in self.open:
            self.tables[-1][1][-1][-1] += data
        elif self.open and self.open[-1] == "title":
            self.titles[-1] += data

    def table(self, section, nth=0):
        """A table as a frame of texts, by its first column."""
        head, *rows = [rows for name, rows in self.tables if name == section][nth]
        return pd.DataFrame([row[1:] for row in rows], [row[0] for row in rows], head[1:])


@pytest.fixture
def report(call, home):
    """`report(target, *options)`: the page written, as text, with an empty store unless --store is given."""

    def write(target=PUBLISHED, *options):
        code, _, err = call("report", target, "--store", home / "empty", *options, "--out", "report.html")
        assert code == 0, err
        return (home / "report.html").read_text(encoding="utf-8")

    return write


@pytest.fixture
def ran(run, home, plugin_file):
    """A run with a method that fails and one that logs, its records in the store; the folder of results."""
    code, _, err = run("--out", home / "out", "--plugin", plugin_file(MINE), change=SUITE)
    assert code == 1, err
    return home / "out"


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


def test_where_the_records_are_there_each_method_is_told_of(report, ran, home):
    page = Page(report(ran, "--store", home / "store"))
    cells = pd.read_csv(ran / "cells.csv")
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


def test_splits_and_environment_are_those_of_the_manifest(report, ran, home):
    page = Page(report(ran, "--store", home / "store"))
    manifest = json.loads((ran / "manifest.json").read_text())

    splits = page.table("splits")
    for seed, facts in manifest["splits"].items():
        row = splits.loc[f"seed {seed}"]
        assert row["SHA-256 of the split"] == facts["digest"]
        assert row["forget"] == str(facts["forget"]["count"])
    assert manifest["data"]["sha256"] in page.sections["environment"]
    assert "Made on: " in page.sections["environment"]


def test_failures_have_their_reasons_and_nothing_is_taken_for_html(report, ran, home):
    text = report(ran, "--store", home / "store")
    page = Page(text)

    found = page.table("failures")
    assert list(found.index) == ["Loud", "Loud"]
    assert found["Seed"].tolist() == ["0", "1"]
    assert found["What happened"].str.startswith("FAILED. ValueError: <script>alert(1)</script>").all()
    assert text.count("<script") == 1
    assert not page.tags & {"i", "u"}
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)


def test_names_are_escaped_wherever_they_stand(report, ran, home):
    harmful = '"><img src=x onerror=alert(1)>'
    for file in ("manifest.json", "cells.csv", "histograms.json"):
        content = (ran / file).read_text(encoding="utf-8")
        name = harmful.replace('"', '\\"') if file.endswith("json") else harmful.replace('"', "")
        (ran / file).write_text(content.replace("FT", name), encoding="utf-8")

    page = Page(report(ran, "--store", home / "store"))

    assert "img" not in page.tags
    assert any(harmful in title for title in page.titles)


def test_what_a_manifest_says_besides_may_be_anything(report, ran):
    manifest = json.loads((ran / "manifest.json").read_text())
    for value in (None, [], "x", 3, {"0": []}, {"0": {"forget": 1}}, {"variants": [1, {"name": []}]}):
        extra = dict.fromkeys(("splits", "data", "resolved", "suite"), value)
        (ran / "manifest.json").write_text(json.dumps(manifest | extra), encoding="utf-8")
        assert "<h2>Splits</h2>" in report(ran)


def test_every_class_in_turn_has_its_table_and_its_map_of_gaps(report, run, home):
    change = 'forget = { scenario = "class", class = "all" }\nmethods = { FT = { epochs = 1 } }'
    assert run("--out", home / "out", change=change)[0] == 0

    page = Page(report(home / "out", "--store", home / "store"))

    table = page.table("results")
    assert list(dict.fromkeys(table.index)) == ["a", "b", "c", "mean"]
    assert table["Method"].tolist() == ["Retrain", "Original", "FT"] * 4
    assert sum(title.startswith("mean, FT: ") for title in page.titles) == 1
    assert page.table("splits").index[0] == "a, seed 0"


def test_it_is_written_beside_the_results_of_a_suite(ran, call, home):
    code, out, err = call("report", ran)

    assert (code, err) == (0, "")
    assert out == f"written to {ran / 'report.html'}\n"


def test_what_cannot_be_reported_or_written_is_refused_in_a_line(call, home):
    (home / "file").write_text("x")
    for words in ((home,), ("no-such-suite",), (PUBLISHED, "--out", home / "file" / "x.html")):
        code, out, err = call("report", *words)
        assert (code, out) == (2, "")
        assert len(err.splitlines()) == 1


@pytest.fixture
def browser(tmp_path):
    """A browser with an empty profile."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium")
    found = Browser(tmp_path / "profile")
    yield found
    found.close()


def complaints(browser):
    """What the page did wrong: lines of the console, exceptions, and requests for anything but itself."""
    logged = [e["entry"]["text"] for e in browser.named("Log.entryAdded")]
    said = [e["args"] for e in browser.named("Runtime.consoleAPICalled")]
    raised = [e["exceptionDetails"]["text"] for e in browser.named("Runtime.exceptionThrown")]
    asked = [e["request"]["url"] for e in browser.named("Network.requestWillBeSent")]
    return [*logged, *said, *raised, *[u for u in asked[1:] if not u.startswith("data:")]]


FIRST_COLUMN = "[...document.querySelector('table').tBodies[0].rows].map((row) => row.cells[0].innerText)"
CLICK = "document.querySelectorAll('table thead th button')[1].click()"


@pytest.mark.slow
def test_a_browser_finds_no_error_and_sorts_the_table(report, browser, home):
    report()
    browser.open(home / "report.html")
    ua = pd.read_csv(PUBLISHED / "table.csv").set_index("method")["ua"].map("{:.2f}".format).astype(float)
    given = browser.run(FIRST_COLUMN)

    browser.run(CLICK)
    up = browser.run(FIRST_COLUMN)
    browser.run(CLICK)
    down = browser.run(FIRST_COLUMN)
    browser.run(CLICK)

    assert given == list(ua.index)
    assert up == list(ua.sort_values(kind="stable").index)
    assert down == list(ua.sort_values(kind="stable", ascending=False).index)
    assert browser.run(FIRST_COLUMN) == given
    assert complaints(browser) == []


@pytest.mark.slow
def test_rows_without_numbers_sort_to_the_end_both_ways(report, ran, browser, home):
    report(ran, "--store", home / "store")
    browser.open(home / "report.html")

    for _ in range(2):
        # the status of a failed row stands in this column
        browser.run(CLICK)
        assert browser.run(FIRST_COLUMN)[-1] == "Loud"
    assert complaints(browser) == []


@pytest.mark.slow
def test_the_page_itself_forbids_what_a_name_might_have_smuggled_in(report, browser, home):
    """The complaints of the test above are not empty for want of looking."""
    text = report()
    smuggled = '<img src="http://127.0.0.1:9/x.png"><script src="http://127.0.0.1:9/x.js"></script>'
    (home / "spoilt.html").write_text(text.replace("</main>", f"{smuggled}</main>"), encoding="utf-8")

    browser.open(home / "spoilt.html")

    assert any("Content Security Policy" in str(line) for line in complaints(browser))


def pages(browser):
    """How many pages the printed report has, its methods unfolded: one at least for each."""
    count = len(re.findall(rb"/Type /Page\b", b64decode(browser.call("Page.printToPDF")["data"])))
    assert count >= 15
    return count


@pytest.mark.slow
def test_it_reads_without_javascript_on_a_phone_and_on_paper(report, browser, home):
    report()
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.call(
        "Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=1, mobile=True
    )
    browser.open(home / "report.html")

    size = browser.call("Page.getLayoutMetrics")["cssContentSize"]
    assert size["width"] == 390  # only what may be wide scrolls sideways, not the page
    root = browser.call("DOM.getDocument", depth=0)["root"]["nodeId"]
    assert not browser.call("DOM.querySelectorAll", nodeId=root, selector="th button")["nodeIds"]
    rows = browser.call("DOM.querySelectorAll", nodeId=root, selector=".results tbody tr")["nodeIds"]
    shown = browser.call("DOM.getBoxModel", nodeId=rows[0])["model"]
    assert shown["height"] > 10
    plain = pages(browser)
    assert complaints(browser) == []

    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    browser.open(home / "report.html")
    assert abs(pages(browser) - plain) <= 1  # the buttons that sort take a little room
    assert browser.run("document.querySelectorAll('details[open]').length") == 0


@pytest.mark.slow
def test_a_report_takes_a_few_seconds(report):
    report()
    started = time.perf_counter()
    report()
    assert time.perf_counter() - started < 10


def test_other_pictures_of_the_folder_are_shown_as_images(report, home):
    folder = Path(shutil.copytree(PUBLISHED, home / "copy"))
    (folder / "plots" / "of_its_own.svg").write_text("<svg><script>alert(1)</script></svg>", encoding="utf-8")

    text = report(folder)

    assert "of its own" in Page(text).sections["pictures"]
    assert text.count("<script") == 1
