"""The page: its sections in reading order, with style sheet and script inside.

It says of itself that it may load nothing (Content-Security-Policy). The same material gives the same
bytes. Without JavaScript the table stands in the order of table.md, and everything else is there too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mubench.reporting.classes import ClassSummary
from mubench.reporting.histograms import WIDTH
from mubench.reporting.plots.shown import Shown
from mubench.reporting.report import apart, curves, details, feature_map, figures, sorted_table
from mubench.reporting.report.chart import Floats
from mubench.reporting.report.markup import Markup, element, escaped, grid, join
from mubench.reporting.report.material import Material, extra, failures
from mubench.reporting.summary import Summary
from mubench.version import __version__

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def page(material: Material) -> str:
    """The whole HTML document."""
    manifest, summary = material.manifest, material.report.summary
    shown = Shown.of(summary, material.histograms) if isinstance(summary, Summary) else None
    at = _edges(shown)
    sections = {
        "Results": sorted_table.section(material.report.table),
        "Differences": apart.section(material.report),
        "Pictures": _pictures(material, shown, at),
        "Methods": _methods(material, at),
        "Feature map": _feature_map(material),
        "Failures": _failures(material),
        "Environment": _environment(material),
        "Splits": _splits(material),
    }
    links = (element("a", name, href=f"#{_anchor(name)}") for name in sections)
    suite = extra(manifest, "suite")
    made_of = f"Suite {suite}, " if isinstance(suite, str) else ""
    head = join(
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{escaped(_POLICY)}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        element("title", manifest.title),
        element("style", _asset("style.css")),
    )
    body = join(
        element(
            "header",
            element("h1", manifest.title),
            element("p", f"{made_of}mubench {__version__}", class_="quiet"),
            element("nav", *links, aria_label="Sections"),
        ),
        element(
            "main",
            *(
                element("section", element("h2", name), content, id=_anchor(name))
                for name, content in sections.items()
            ),
        ),
        element("script", _asset("script.js")),
    )
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>{body}</body></html>\n'


def _asset(name: str) -> Markup:
    return Markup(Path(__file__).with_name(name).read_text(encoding="utf-8"))


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")


def _edges(shown: Shown | None) -> Floats | None:
    """The bins in which all confidences are drawn."""
    filled = [h for parts in shown.scores.values() for h in parts.values() if h.counts] if shown else []
    return curves.edges(filled) if filled else None


def _figure(picture: object, caption: object) -> Markup:
    return element("figure", picture, element("figcaption", caption))


def _pictures(material: Material, shown: Shown | None, at: Floats | None) -> Markup:
    """What can be drawn is drawn; other pictures of the folder are shown as they are."""
    found: dict[str, object] = {}
    summary = material.report.summary
    if isinstance(summary, ClassSummary):
        if picture := figures.gap_by_class(summary):
            found["gap_by_class"] = _figure(picture, "Headline Avg. Gap by class: the paler, the closer.")
    elif shown is not None:
        if bars := figures.avg_gaps(shown):
            note = (
                "Avg. Gaps. Bars: from the means over seeds; lines: 95 % intervals; dots: one seed on its "
                "own; shaded: noise floor."
            )
            found["avg_gap"] = _figure(element("div", *bars, class_="pair"), note)
        if picture := figures.forget_vs_utility(shown):
            text = "Forgetting against utility; lines are standard deviations over seeds."
            found["forget_vs_utility"] = _figure(picture, text)
        if picture := figures.cost_vs_gap(shown):
            found["cost_vs_gap"] = _figure(picture, "Run time against the headline Avg. Gap.")
        if at is not None and set(shown.scores) == set(shown.rows.index):
            found["confidence"] = _confidences(shown, at)
    for name, uri in material.pictures.items():
        if name not in found:
            text = name.replace("_", " ")
            found[name] = _figure(Markup(f'<img src="{uri}" alt="{escaped(text)}">'), text)
    if not found:
        return element("p", "There is nothing to draw.", class_="quiet")
    side_by_side = [found.pop(name) for name in ("forget_vs_utility", "cost_vs_gap") if name in found]
    first = found.pop("avg_gap", None)
    return join(
        first, element("div", *side_by_side, class_="pair") if side_by_side else None, *found.values()
    )


def _confidences(shown: Shown, at: Floats) -> Markup:
    """A small panel per row, the reference first, with the reference's forget set as an outline."""
    names = sorted(map(str, shown.rows.index), key=lambda n: shown.rows.loc[n, "role"] != "reference")
    first = names[0] if shown.rows.loc[names[0], "role"] == "reference" else None
    panels = [
        element(
            "figure",
            element("figcaption", name),
            curves.confidences(
                name,
                shown.scores[name],
                shown.scores[first]["forget"] if first not in (None, name) else None,
                at,
                small=True,
            ),
        )
        for name in names
    ]
    note = join(
        "Log-odds of the true class, the further right the surer; all seeds together: ", details.sets_key()
    )
    outline = f"; outline: forget, by {first}" if first else ""
    return _figure(element("div", *panels, class_="multiples"), join(note, outline, "."))


def _methods(material: Material, at: Floats | None) -> Markup:
    """A part to unfold per row."""
    summary = material.report.summary
    rows = next(iter(material.manifest.blocks.values()))
    unfolded = []
    for row in rows:
        parts: list[object] = [details.about(row, material.methods.get(row.name))]
        if isinstance(summary, Summary) and row.keys:
            target = summary.targets.own.get(row.name, summary.reference)
            parts += [
                details.curves(row.name, target, material.histograms, at),
                details.ledger(row.name, summary),
                details.numbers(row.name, summary),
            ]
        elif row.reason:
            parts.append(element("p", f"{row.status}: {row.reason}"))
        head = element("summary", row.name, element("span", f" {row.role}", class_="quiet"))
        unfolded.append(element("details", head, *parts))
    about_roc = (
        "The ROC curves are made of the counts of histograms.json, all seeds together: exact at the edges of "
        f"its bins, {WIDTH:g} in log-odds wide, and straight between them. Their areas are not "
        "class-matched, unlike the AUC among the numbers."
    )
    note = element("p", about_roc, class_="quiet") if at is not None else None
    return join(note, *unfolded)


def _feature_map(material: Material) -> Markup:
    found = material.map
    if isinstance(found, str):
        return element("p", f"There is no map. {found}", class_="quiet")
    panels = [
        element(
            "figure",
            element("figcaption", name, element("span", f" spread {c.spread:.2f}×", class_="quiet")),
            feature_map.figure(name, found),
        )
        for name, c in found.by_row.items()
    ]
    reference = next(row.name for row in material.manifest.rows if row.role == "reference")
    note = (
        f"Penultimate features at seed {found.seed}: pale dots are retain images, dark ones those to be "
        f"forgotten, colours are classes. Each model's features are turned to lie closest to {reference}'s "
        f"of the same images (no distance changes), then all are seen along {reference}'s first two "
        "principal components. Each panel has a scale of its own; its spread, the root mean square distance "
        f"from the centre, is given as a multiple of {reference}'s."
    )
    return join(element("p", note), element("div", *panels, class_="multiples map"))


def _failures(material: Material) -> Markup:
    found = failures(material)
    if not found:
        return element("p", "None: every cell has its numbers.", class_="quiet")
    classes = any(label for label, *_ in found)
    header: list[object] = [*(["Class"] if classes else []), "Method", "Seed", "What happened"]
    return grid(header, [list(line if classes else line[1:]) for line in found], class_="texts")


def _environment(material: Material) -> Markup:
    lines = [element("li", line) for line in material.manifest.hardware]
    parts: list[object] = [element("ul", *lines)] if lines else []
    names = list(dict.fromkeys(name for facts in material.machines for name in facts))
    if names:
        rows: list[list[object]] = [[n, *(facts.get(n, "") for facts in material.machines)] for n in names]
        count = len(material.machines)
        header: list[object] = [
            "",
            *([f"environment {i + 1}" for i in range(count)] if count > 1 else ["records"]),
        ]
        parts.append(grid(header, rows, class_="texts"))
    data = extra(material.manifest, "data")
    if isinstance(data, dict) and data.get("sha256"):
        parts.append(element("p", f"Data: {data.get('name')}, SHA-256 ", element("code", data["sha256"])))
    return join(*parts) if parts else element("p", "Nothing is known of it.", class_="quiet")


def _splits(material: Material) -> Markup:
    """The digest of each seed's split and the sizes of its sets."""
    splits = extra(material.manifest, "splits")
    nested = splits if material.manifest.classes else {"": splits}
    rows: list[list[object]] = []
    for label, of_class in nested.items() if isinstance(nested, dict) else ():
        for seed, facts in of_class.items() if isinstance(of_class, dict) else ():
            if isinstance(facts, dict):
                name = f"{label}, seed {seed}" if label else f"seed {seed}"
                rows.append([name, *_sizes(facts), element("code", facts.get("digest", ""))])
    if not rows:
        return element("p", "The manifest names none.", class_="quiet")
    header: list[object] = ["", *_SETS, "SHA-256 of the split"]
    return grid(header, rows, class_="numbers")


_SETS = ("train", "val", "test", "forget", "retain")


def _sizes(facts: dict[str, Any]) -> list[object]:
    """The number of images of each set, their own digest under the pointer."""
    found: list[object] = []
    for name in _SETS:
        part = facts.get(name)
        if isinstance(part, dict):
            found.append(element("span", part.get("count", ""), title=part.get("sha256")))
        else:
            found.append("")
    return found
