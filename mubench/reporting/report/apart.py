"""How far each row is from the reference, signed, with its interval and whether that is real."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from mubench.reporting.render import Report
from mubench.reporting.report.markup import Markup, element, join
from mubench.reporting.summary import Summary

# With more columns than these, the intervals go on a line of their own.
_ABREAST = 5
# Verdict -> its sign and its class in the style sheet.
_SIGNS = {
    "different": ("≠", "different"),
    "different, but within the margin": ("≈", "equivalent"),
    "equivalent": ("=", "equivalent"),
    "undecided": ("?", "undecided"),
}


def section(report: Report) -> Markup:
    """A line per row, a column per metric whose target is the reference's value; sortable."""
    summary, found = report.summary, report.differences
    if not isinstance(summary, Summary):
        text = "They are in differences.csv, class by class."
        return element("p", text, class_="quiet")
    if found.empty:
        return element("p", "There is nothing to compare.", class_="quiet")
    titles = summary.columns.titles()
    metrics = list(dict.fromkeys(map(str, found["metric"])))
    by = {(str(line["method"]), str(line["metric"])): line for line in found.to_dict("records")}
    rows = [
        element("tr", element("th", row, scope="row"), *(_cell(by.get((row, metric))) for metric in metrics))
        for row in dict.fromkeys(map(str, found["method"]))
    ]
    head = [
        element("th", "Method", scope="col", class_="word"),
        *(element("th", titles.get(metric, metric), scope="col") for metric in metrics),
    ]
    table = element(
        "table",
        element("thead", element("tr", *head)),
        element("tbody", *rows),
        class_="results sortable" + " wide" * (len(metrics) > _ABREAST),
    )
    note = (
        f"Points by which a row lies above {summary.target}, the mean over the seeds, with its 95 % interval "
        "where it has one."
    )
    return join(
        element("div", table, class_="scroll"),
        element("p", note, class_="quiet"),
        element("p", *_key(set(found["verdict"])), class_="quiet signs"),
    )


def _cell(line: Any) -> Markup:
    if line is None or math.isnan(line["difference"]):
        return element("td", "n/a")
    known = not math.isnan(line["low"])
    between = (
        element("span", f" [{_signed(line['low'])}, {_signed(line['high'])}]", class_="beside bracket")
        if known
        else None
    )
    sign, kind = _SIGNS.get(line["verdict"], ("", "undecided"))
    adjusted = [
        f"{what} p = {line[name]:.3g}"
        for what, name in (("difference", "p_holm"), ("equivalence", "p_equivalent_holm"))
        if pd.notna(line[name])
    ]
    told = ", ".join([str(line["verdict"]), *adjusted])
    mark = element("span", sign, class_=f"verdict {kind}")
    return element(
        "td", _signed(line["difference"]), mark, between, data_value=f"{line['difference']!r}", title=told
    )


def _signed(points: float) -> str:
    return f"{points:+.2f}".replace("-", "−")


def _key(verdicts: set[str]) -> list[object]:
    """What the signs mean, of those that are there; other verdicts are said in words."""
    parts: list[object] = []
    for verdict, (sign, kind) in _SIGNS.items():
        if verdict in verdicts:
            parts += [element("span", sign, class_=f"verdict {kind}"), f" {verdict}  "]
    others = sorted(verdicts - set(_SIGNS))
    return [*parts, *(f"Whether it is real {verdict}." for verdict in others)]
