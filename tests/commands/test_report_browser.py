"""The report in headless Chromium: no complaint, a table that sorts, without scripts, on phone and paper."""

import re
from base64 import b64decode

import pandas as pd
import pytest
from browser import CHROMIUM, Browser
from reports import PUBLISHED


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
def test_rows_without_numbers_sort_to_the_end_both_ways(report, failing_run, browser, home):
    report(failing_run, "--store", home / "store")
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
