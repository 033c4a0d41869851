"""The pictures of a folder of results as SVG whose marks show their numbers under the pointer.

They are drawn here and not taken from plots/: matplotlib's SVG holds outlines of letters, 0.6 MB for a
suite, in which nothing can be searched, read aloud or pointed at. Here each mark is an element with a
<title>, text is text in the page's own type, and all pictures of a suite together take some 0.1 MB. A
library such as plotly would do the same with 1 MB of JavaScript, and show nothing without it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from mubench.reporting.classes import ClassSummary
from mubench.reporting.columns import AvgGap
from mubench.reporting.plots.shown import Shown, within
from mubench.reporting.report.chart import (
    Scale,
    bottom_axis,
    left_axis,
    linear,
    log_ticks,
    logarithmic,
    place,
    rule,
    sheet,
    ticks,
    upright,
    words,
)
from mubench.reporting.report.markup import Markup, element, escaped, short, title
from mubench.reporting.tables import between

_WIDTH, _HEIGHT = 520.0, 400.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 512.0, 10.0, 346.0
_LINE = 22.0


def avg_gaps(shown: Shown) -> list[Markup]:
    """A panel per Avg. Gap: bars for the means, dots for the seeds, the closest to the reference on top."""
    gaps = shown.columns.gaps
    rows = shown.rows[shown.rows["role"] != "reference"]
    rows = rows[rows[[gap.name for gap in gaps]].notna().all(axis=1)]
    if rows.empty or not gaps:
        return []
    rows = rows.sort_values(shown.columns.headline.name, kind="stable")
    return [_gap_panel(shown, rows, gap) for gap in gaps]


def _gap_panel(shown: Shown, rows: pd.DataFrame, gap: AvgGap) -> Markup:
    means = rows[gap.name].to_numpy(float)
    inside = within(means, 0.0)
    seeds = {name: shown.seeds.loc[shown.seeds["method"] == name] for name in rows.index}
    dots = {
        name: [(int(s), v) for s, v in zip(f["seed"], f[gap.name].astype(float), strict=True) if v == v]
        for name, f in seeds.items()
    }
    kept = [v for name, fine in zip(rows.index, inside, strict=True) if fine for _, v in dots[name]]
    band = shown.bands.get(gap.name, 0.0)
    most = max([*means[inside], *kept, band, 1e-9])
    low, high = (rows[f"{gap.name}_{end}"].to_numpy(float) for end in ("low", "high"))
    # A very wide interval is cut short, so as not to press the bars into a corner.
    most = max([most, *np.minimum(high, 2 * most)[inside & np.isfinite(high)]])
    left = 14 + 7.0 * min(max(len(str(name)) for name in rows.index), 24)
    x = linear(0, 1.04 * most, left, _RIGHT - 52)
    bottom = 8 + _LINE * len(rows)
    parts: list[object] = []
    if band:
        parts.append(
            element(
                "rect",
                title(f"noise floor: gaps below {band:.2f} are not told from retraining again"),
                x=left,
                y=4,
                width=x(band) - left,
                height=bottom - 4,
                class_="band",
            )
        )
    for i, name in enumerate(rows.index):
        y, several = 8 + _LINE * i, len(dots[name]) > 1
        known = inside[i] and np.isfinite(low[i])
        told = f"{name}: {gap.title} {means[i]:.2f}{between(low[i], high[i])} points"
        listed = "; by seed " + ", ".join(f"{s}: {v:.2f}" for s, v in dots[name]) if several else ""
        marks: list[object] = [
            title(told + listed),
            element("rect", x=0, y=y, width=_WIDTH, height=_LINE, class_="hit"),
            words(left - 8, y + 15, name, "end"),
            element(
                "rect",
                x=left,
                y=y + 4,
                width=x(means[i]) - left,
                height=_LINE - 8,
                class_=f"bar {_role(rows, i)}",
            ),
        ]
        if known:
            ends = {"x1": x(low[i]), "x2": x(min(high[i], most)), "y1": y + 11, "y2": y + 11}
            marks.append(element("line", **ends, class_="interval"))
        if several and inside[i]:
            marks.append(_seeds(str(name), dots[name], x, y + 11))
        marks.append(
            words(_WIDTH - 2, y + 15, f"{'▸ ' * (not inside[i])}{means[i]:.2f}", "end", class_="number")
        )
        parts.append(element("g", *marks, class_="row"))
    axis = bottom_axis(ticks(0, 1.04 * most), x, bottom, left, _RIGHT - 52)
    name = words((left + _RIGHT - 52) / 2, bottom + 34, f"{gap.title}, points", "middle")
    return sheet(_WIDTH, bottom + 42, f"{gap.title} of each method", *parts, axis, name)


def _seeds(name: str, values: list[tuple[int, float]], x: Scale, y: float) -> Markup:
    """A dot for each seed; there can be ten thousand, and a call of `element` for each takes its time."""
    who, at = escaped(name), f'cy="{short(y)}" r="2.5" class="seed"'
    dots = [
        f'<circle cx="{short(x(v))}" {at}><title>{who}, seed {s}: {v:.2f}</title></circle>' for s, v in values
    ]
    return Markup("".join(dots))


def _role(rows: pd.DataFrame, i: int) -> str:
    return str(rows["role"].iloc[i])


def forget_vs_utility(shown: Shown) -> Markup | None:
    """UA against TA, with the standard deviations over seeds and the reference as the cross-hair."""
    if not {"ua", "ta"} <= set(shown.columns.names):
        return None
    rows = shown.rows[shown.rows["ua"].notna() & shown.rows["ta"].notna()]
    if rows.empty:
        return None
    points = rows[["ua", "ta"]].to_numpy(float)
    spread = rows[["ua_std", "ta_std"]].fillna(0.0).to_numpy(float)
    target = (rows["role"] == "reference").to_numpy()
    centre = points[target][0] if target.any() else np.median(points, axis=0)
    limits = []
    for k in (0, 1):
        fine = within(points[:, k], centre[k])
        room = np.minimum(spread[fine, k], max(float(np.ptp(points[fine, k])), 0.5))
        low, high = float((points[fine, k] - room).min()), float((points[fine, k] + room).max())
        margin = 0.08 * max(high - low, 0.5)
        limits.append((low - margin, high + margin))
    x, y = linear(*limits[0], _LEFT, _RIGHT), linear(*limits[1], _BOTTOM, _TOP)
    parts: list[object] = []
    if target.any():
        parts += [
            rule(x(centre[0]), _TOP, x(centre[0]), _BOTTOM, "cross"),
            rule(_LEFT, y(centre[1]), _RIGHT, y(centre[1]), "cross"),
        ]
    for (a, b), (da, db) in zip(points, spread, strict=True):
        parts += [
            rule(x(a - da), y(b), x(a + da), y(b), "error"),
            rule(x(a), y(b - db), x(a), y(b + db), "error"),
        ]
    texts = [
        f"{name}: UA {a:.2f} ± {da:.2f}, TA {b:.2f} ± {db:.2f} percent"
        for name, (a, b), (da, db) in zip(rows.index, points, spread, strict=True)
    ]
    seen = np.array([[x(a), y(b)] for a, b in points])
    away = [not (limits[0][0] <= a <= limits[0][1] and limits[1][0] <= b <= limits[1][1]) for a, b in points]
    names = [
        f"{name} (UA {a:.1f}, TA {b:.1f})" if far else str(name)
        for name, (a, b), far in zip(rows.index, points, away, strict=True)
    ]
    at = "; the cross-hair is " + str(rows.index[target][0]) if target.any() else ""
    parts += [
        bottom_axis(ticks(*limits[0]), x, _BOTTOM, _LEFT, _RIGHT),
        left_axis(ticks(*limits[1]), y, _LEFT, _TOP, _BOTTOM),
        words((_LEFT + _RIGHT) / 2, _BOTTOM + 36, f"UA: error on the forget set, percent{at}", "middle"),
        upright(12, (_TOP + _BOTTOM) / 2, "TA: accuracy on the test set, percent"),
        *_points(rows, seen, texts, names),
    ]
    return sheet(_WIDTH, _HEIGHT - 8, "Accuracy on the test set against error on the forget set", *parts)


def cost_vs_gap(shown: Shown) -> Markup | None:
    """Run time as a share of the reference's (log) against the headline Avg. Gap."""
    if not shown.columns.gaps:
        return None
    gap = shown.columns.headline
    rows = shown.rows[shown.rows["rte_ratio"].notna() & shown.rows[gap.name].notna()]
    idle = (rows["rte_ratio"] <= 0) | ((rows["role"] == "baseline") & (rows["rte_ratio"] < 0.01))
    left_out, rows = list(rows.index[idle]), rows[~idle]
    if rows.empty or (rows["role"] == "reference").all():
        return None
    ratios, gaps = rows["rte_ratio"].to_numpy(float), rows[gap.name].to_numpy(float)
    low, high = float(ratios.min()) / 1.5, float(ratios.max()) * 1.5
    band = shown.bands.get(gap.name, 0.0)
    most = 1.1 * max(*gaps[within(gaps, 0.0)], band, 0.5)
    x, y = logarithmic(low, high, _LEFT, _RIGHT), linear(-0.04 * most, most, _BOTTOM, _TOP)
    texts = [
        f"{name}: {r:.3g} of the reference's time, {gap.title} {g:.2f} points"
        for name, r, g in zip(rows.index, ratios, gaps, strict=True)
    ]
    names = [f"{n} ({g:.1f})" if g > most else str(n) for n, g in zip(rows.index, gaps, strict=True)]
    seen = np.array([[x(r), y(g)] for r, g in zip(ratios, gaps, strict=True)])
    parts: list[object] = []
    if band:
        told = title(f"noise floor: gaps below {band:.2f} are not told from retraining again")
        parts.append(
            element(
                "rect", told, x=_LEFT, y=y(band), width=_RIGHT - _LEFT, height=y(0) - y(band), class_="band"
            )
        )
    without = f" (not shown, no time: {', '.join(map(str, left_out))})" if left_out else ""
    parts += [
        bottom_axis(log_ticks(low, high), x, _BOTTOM, _LEFT, _RIGHT, "×"),
        left_axis(list(ticks(0, most)), y, _LEFT, _TOP, _BOTTOM),
        words((_LEFT + _RIGHT) / 2, _BOTTOM + 36, f"run time, share of the reference's{without}", "middle"),
        upright(12, (_TOP + _BOTTOM) / 2, f"{gap.title}, points"),
        *_points(rows, seen, texts, names),
    ]
    return sheet(_WIDTH, _HEIGHT - 8, f"{gap.title} against run time", *parts)


def _points(rows: pd.DataFrame, seen: np.ndarray, texts: list[str], names: list[str]) -> list[Markup]:
    """The marks with their numbers, and the names beside them."""
    marks = [
        element("circle", title(text), cx=float(a), cy=float(b), r=5.5, class_=f"point {_role(rows, i)}")
        for i, (text, (a, b)) in enumerate(zip(texts, seen, strict=True))
    ]
    return [*marks, *place(seen, names, (_LEFT + 4, _TOP, _RIGHT, _BOTTOM - 4))]


def gap_by_class(summary: ClassSummary) -> Markup | None:
    """The headline Avg. Gap, a line per class (the mean last), a column per method: the paler the closer."""
    if not summary.mean.columns.gaps:
        return None
    gap, numbers = summary.mean.columns.headline, summary.numbers
    wide = numbers.pivot(index="class", columns="method", values=gap.name)
    wide = wide.reindex(index=numbers["class"].unique(), columns=numbers["method"].unique())
    wide = wide.drop(columns=summary.mean.reference).dropna(axis="columns", how="all")
    if wide.empty:
        return None
    values = wide.to_numpy(float)
    finite = values[np.isfinite(values)]
    top = max(float(finite[within(finite, 0.0)].max(initial=0.0)), 0.01)
    left = 12 + 7.0 * max(len(str(label)) for label in wide.index)
    head = 12 + 5.2 * max(len(str(name)) for name in wide.columns)
    cell = min(max(44.0, (1000 - left) / len(wide.columns)), 64.0)
    parts: list[object] = []
    for k, name in enumerate(wide.columns):
        at = f"translate({left + cell * (k + 0.5):g} {head - 6:g}) rotate(-45)"
        parts.append(element("text", name, transform=at))
    for i, label in enumerate(wide.index):
        y = head + _LINE * i
        parts.append(words(left - 8, y + 15, label, "end"))
        for k, name in enumerate(wide.columns):
            value = values[i, k]
            share = 0.0 if np.isnan(value) else min(value / top, 1.0)
            told = "no number" if np.isnan(value) else f"{gap.title} {value:.2f} points"
            text = "–" if np.isnan(value) else f"{value:.2f}"
            square = element(
                "rect",
                x=left + cell * k,
                y=y,
                width=cell - 1,
                height=_LINE - 1,
                fill=_blue(share),
            )
            dark = "light" if share > 0.6 else None
            number = words(left + cell * (k + 0.5), y + 15, text, "middle", class_=dark)
            parts.append(element("g", title(f"{label}, {name}: {told}"), square, number))
    line = head + _LINE * (len(wide) - 1) - 1
    parts.append(rule(0, line, left + cell * len(wide.columns), line))
    width = left + cell * len(wide.columns) + 4 + 4.0 * len(str(wide.columns[-1]))
    return sheet(width, head + _LINE * len(wide) + 2, f"{gap.title} by class and method", *parts)


def _blue(share: float) -> str:
    """From white (0) to the colour of methods (1)."""
    ends = zip((247, 250, 253), (0, 80, 140), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in ends)
