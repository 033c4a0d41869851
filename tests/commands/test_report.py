"""The report: one file that holds the table's numbers, asks nobody for anything, and sorts."""

import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from mubench.cli import main

PUBLISHED = Path(__file__).parents[2] / "results" / "published" / "digits-random-50"
CHROMIUM = shutil.which("chromium")
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


class Page(HTMLParser):
    """The cells of the first table, and the addresses that tags name."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.addresses, self.tables, self.cell = [], [], 0, None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.addresses += [v for k, v in attributes if k in ("src", "href", "xlink:href") and v]
        self.tables += tag == "table"
        if self.tables == 1 and tag == "tr":
            self.rows.append([])
        if self.tables == 1 and tag in ("td", "th"):
            self.cell = ""

    def handle_endtag(self, tag):
        if self.tables == 1 and tag in ("td", "th") and self.cell is not None:
            self.rows[-1].append(" ".join(self.cell.split()))
            self.cell = None

    def handle_data(self, data):
        if self.cell is not None:
            self.cell += data


@pytest.fixture
def write(home):
    """`write(folder)`: the report's file, made with an empty store."""

    def run(folder=PUBLISHED, name="report.html"):
        result = CliRunner().invoke(main, ["report", str(folder), "--out", str(home / name)])
        assert result.exit_code == 0, result.output
        return home / name

    return run


def test_the_table_holds_the_numbers_of_table_csv(write):
    page = Page(write().read_text(encoding="utf-8"))
    numbers = pd.read_csv(PUBLISHED / "table.csv").set_index("method")
    rows = {row[0]: row for row in page.rows[1:]}

    assert list(rows) == list(numbers.index)
    for name, row in rows.items():
        assert row[1].startswith(f"{numbers.loc[name, 'ua']:.2f}")
        assert row[7] == f"{numbers.loc[name, 'avg_gap_svc']:.2f}"


def test_it_asks_nobody_and_is_the_same_each_time(write):
    one, two = (write(name=name).read_bytes() for name in ("one.html", "two.html"))
    text = one.decode()

    assert one == two
    assert all(address.startswith(("#", "data:")) for address in Page(text).addresses)
    assert "default-src 'none'" in unescape(text)
    assert "url(" not in text


def test_names_and_reasons_are_escaped(write, home):
    folder = home / "harmful"
    shutil.copytree(PUBLISHED, folder)
    for file in ("manifest.json", "cells.csv", "histograms.json"):
        if (folder / file).exists():
            text = (folder / file).read_text(encoding="utf-8")
            (folder / file).write_text(text.replace("l1-sparse", "<img src=x>"), encoding="utf-8")

    text = write(folder).read_text(encoding="utf-8")

    assert "<img src=x>" not in text
    assert "&lt;img src=x&gt;" in text


def test_without_results_it_is_refused_in_a_line(home):
    result = CliRunner().invoke(main, ["report", str(home)])

    assert result.exit_code == 2
    assert len(result.output.strip().splitlines()) == 1


SORTED = """
<script>
addEventListener("load", () => {
  document.querySelectorAll("table thead th")[1].querySelector("button").click();
  const rows = [...document.querySelector("table").tBodies[0].rows];
  document.title = rows.map((row) => row.cells[0].innerText).join("|");
});
</script>
"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_finds_no_error_and_sorts_the_table(write, tmp_path):
    file = write()
    page = tmp_path / "sorted.html"
    page.write_text(file.read_text(encoding="utf-8").replace("</body>", f"{SORTED}</body>"), encoding="utf-8")
    command = [CHROMIUM, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr"]

    done = subprocess.run(
        [*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )

    assert "CONSOLE" not in done.stderr
    order = re.search(r"<title>(.*?)</title>", done.stdout, re.S).group(1).split("|")
    ua = pd.read_csv(PUBLISHED / "table.csv").set_index("method")["ua"]
    shown = [float(f"{ua[name]:.2f}") for name in order]
    assert shown in (sorted(shown), sorted(shown, reverse=True))
