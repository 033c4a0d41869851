"""What the page tells of one row: what it is, what it cost, what it logged, and how sure its models are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from mubench.api.method import MethodSpec
from mubench.reporting.histograms import Histogram, Histograms
from mubench.reporting.manifest import ManifestRow
from mubench.reporting.report.chart import Floats
from mubench.reporting.report.curves import confidences, roc_figure
from mubench.reporting.report.markup import Markup, element, escaped, grid, join
from mubench.reporting.summary import Summary

# Column of cells.csv -> heading in the ledger.
_LEDGER = {
    "rte": "time, s",
    "forward": "forward passes",
    "backward": "backward passes",
    "read_forget": "read of forget",
    "read_retain": "read of retain",
    "changed": "weights changed, %",
    "peak_memory_mib": "peak memory, MiB",
}
_NOTE = "note_"
_OTHER = ("class", "method", "role", "seed", "status", "reason", "key", "rte_shared")
_KEY = 12


def about(row: ManifestRow, spec: MethodSpec | None) -> Markup:
    """The method's first line, its citation and the row's parameters with what they are by default."""
    if spec is None:
        what: object = element("p", "This method is not installed here.", class_="quiet")
    else:
        cite = element("p", f"Source: {spec.cite}", class_="quiet") if spec.cite else None
        what = join(element("p", spec.summary), cite)
    if not row.parameters:
        return join(what, element("p", "No parameters.", class_="quiet"))
    defaults = {p.name: p.default for p in spec.parameters} if spec else {}
    pairs = []
    for name, value in row.parameters.items():
        usual = defaults.get(name, value)
        note = element("span", f" (default {_plain(usual)})", class_="quiet") if usual != value else None
        pairs.append(element("div", element("dt", name), element("dd", _plain(value), note)))
    return join(what, element("dl", *pairs, class_="parameters"))


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def curves(name: str, reference: str, histograms: Histograms, at: Floats | None) -> Markup:
    """The confidence histogram and the attack's ROC, all seeds together."""
    parts = histograms.get(name)
    if parts is None or at is None or not all(sum(h.counts) for h in parts.values()):
        text = "No histograms of this row are kept: neither its records nor histograms.json are here."
        return element("p", text, class_="quiet")
    other = histograms.get(reference) if name != reference else None
    target: Histogram | None = other["forget"] if other else None
    against = f"; outline: forget, by {reference}" if target else ""
    left = element(
        "figure",
        confidences(name, parts, target, at),
        element("figcaption", "How sure the models are of the true class: ", sets_key(), against, "."),
    )
    roc = roc_figure(name, parts, (reference, other) if other else None)
    right = element(
        "figure",
        roc,
        element("figcaption", "A threshold attack that tells forget from test."),
    )
    return element("div", left, right, class_="pair")


def sets_key() -> Markup:
    """The colours of the three sets."""
    return join(
        element("span", "forget", class_="key forget"),
        ", ",
        element("span", "retain", class_="key retain"),
        ", ",
        element("span", "test", class_="key test"),
    )


def ledger(name: str, summary: Summary) -> Markup:
    """What each seed cost, and the mean; then what the method logged."""
    cells = summary.finished(name)
    if cells.empty:
        return element("p", "No seed has finished.", class_="quiet")
    columns = [c for c in _LEDGER if c in cells and cells[c].notna().any()]
    costs = {c: _costs(c, cells[c].astype(float).to_list()) for c in columns}
    shared, star = cells["rte_shared"].eq(True), None
    if "rte" in costs:
        costs["rte"] = [text + "*" * slow for text, slow in zip(costs["rte"], shared, strict=True)]
    lines = zip(cells["seed"], *costs.values(), map(key, cells["key"]), strict=True)
    rows: list[list[object]] = [[f"seed {int(seed)}", *line] for seed, *line in lines]
    if len(rows) > 1:
        means = cells[columns].astype(float).mean()
        rows.append(["mean", *(_costs(c, [means[c]])[0] for c in columns), ""])
    star = (
        element("p", "* slowed down by other work on the machine.", class_="quiet") if shared.any() else None
    )
    header: list[object] = ["", *(_LEDGER[c] for c in columns), "record"]
    return join(element("h4", "Ledger"), grid(header, rows, class_="numbers"), star, _logged(cells))


def key(value: object) -> Markup:
    """The first digits of a key, all of them under the pointer."""
    text = escaped(value)
    return Markup(f'<code title="{text}">{escaped(str(value)[:_KEY])}</code>')


def _costs(column: str, numbers: Sequence[float]) -> list[str]:
    """A column's numbers as they are shown."""
    form, factor = {"rte": ("{:,.3f}", 1), "changed": ("{:.2f}", 100)}.get(column, ("{:,.0f}", 1))
    return ["–" if math.isnan(n) else form.format(factor * n) for n in numbers]


def _logged(cells: pd.DataFrame) -> Markup | None:
    notes = [c for c in cells if str(c).startswith(_NOTE) and cells[c].notna().any()]
    if not notes:
        return None
    rows: list[list[object]] = [
        [
            element("code", str(name).removeprefix(_NOTE)),
            *(_note(value) for value in cells[name]),
        ]
        for name in notes
    ]
    header: list[object] = ["", *(f"seed {int(seed)}" for seed in cells["seed"])]
    return join(element("h4", "Logged by the method"), grid(rows=rows, header=header, class_="numbers"))


def _note(value: Any) -> str:
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.4g}"
    return str(value)


def numbers(name: str, summary: Summary) -> Markup | None:
    """Every metric in cells.csv, also those without a column: mean, deviation, and the reference's mean."""
    own = summary.finished(name)
    reference = summary.targets.own.get(name, summary.reference)
    gaps = tuple(gap.name for gap in summary.columns.gaps)
    metrics = [
        str(c)
        for c in own.select_dtypes("number")
        if c not in (*_OTHER, *_LEDGER, *gaps) and not str(c).startswith(_NOTE)
    ]
    means, others = own[metrics].mean(), summary.finished(reference)[metrics].mean()
    deviations, titles = own[metrics].std(ddof=1), summary.columns.titles()
    rows: list[list[object]] = []
    for metric in metrics:
        mean, std, other = float(means[metric]), float(deviations[metric]), float(others[metric])
        if math.isnan(mean):
            continue
        rows.append(
            [
                join(titles[metric], " ", element("code", metric))
                if metric in titles
                else element("code", metric),
                f"{mean:.3f}",
                "–" if math.isnan(std) else f"{std:.3f}",
                "–" if math.isnan(other) else f"{other:.3f}",
            ]
        )
    if not rows:
        return None
    header: list[object] = ["", "mean", "std", reference]
    return join(
        element("h4", "All numbers"),
        element("div", grid(header, rows, class_="numbers"), class_="columns"),
    )
