"""What the tests of `mubench report` share: a run with a failure, and a page taken apart."""

from html.parser import HTMLParser
from pathlib import Path

import pandas as pd

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
