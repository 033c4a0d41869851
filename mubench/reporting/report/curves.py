"""Confidence histograms and the attack's ROC curve, both from the counts of histograms.json."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mubench.reporting.histograms import WIDTH, Histogram
from mubench.reporting.report.chart import (
    Floats,
    Scale,
    bottom_axis,
    left_axis,
    linear,
    rule,
    sheet,
    ticks,
    upright,
    words,
)
from mubench.reporting.report.markup import Markup, element, title

_BINS = 48
Parts = Mapping[str, Histogram]


def roc(members: Histogram, others: Histogram) -> tuple[Floats, Floats]:
    """(false, true) positive rates as shares, from (0, 0) to (1, 1), at every edge of a bin from the top.

    An attack that calls whatever lies at or above the edge a member has exactly these rates; between two
    edges the curve is only known up to the width of a bin. Empty if either histogram is.
    """
    if not sum(members.counts) or not sum(others.counts):
        return np.empty(0), np.empty(0)
    first = min(members.first, others.first)
    last = max(h.first + len(h.counts) for h in (members, others))
    rates = []
    for h in (others, members):
        counts = np.zeros(last - first)
        counts[h.first - first : h.first - first + len(h.counts)] = h.counts
        rates.append(np.concatenate([[0.0], np.cumsum(counts[::-1])]) / counts.sum())
    return rates[0], rates[1]


def area(false: Floats, true: Floats) -> float:
    """The area under the curve in percent, by trapezoids: ties within a bin count half."""
    return 50 * float((np.diff(false) * (true[1:] + true[:-1])).sum())


def edges(histograms: Sequence[Histogram]) -> Floats:
    """At most 48 equal bins over what nearly all sets hold 98 % of; the rest belongs to the outermost."""
    ends = np.array([h.quantiles([0.01, 0.99]) for h in histograms])
    low, high = np.quantile(ends[:, 0], 0.1), np.quantile(ends[:, 1], 0.9)
    first, last = math.floor(low / WIDTH), math.floor(high / WIDTH) + 1
    step = max(1, math.ceil((last - first) / _BINS))
    bins = max(4, math.ceil((last - first) / step))
    at: Floats = WIDTH * (first + step * np.arange(bins + 1, dtype=np.float64))
    return at


def shares(histogram: Histogram, at: Floats) -> Floats:
    """The share of the images in each of the bins between these edges, as a fraction of 1."""
    middles = np.clip(histogram.left + WIDTH / 2, at[0], at[-1])
    counts = np.histogram(middles, at, weights=histogram.counts)[0]
    return np.asarray(counts / max(sum(histogram.counts), 1), np.float64)


def confidences(
    name: str, parts: Parts, target: Histogram | None, at: Floats, *, small: bool = False
) -> Markup:
    """The log-odds of the true class on forget, retain and test; target: the reference's on forget.

    small: as one of many, without the name of the axis.
    """
    width, height = (270.0, 128.0) if small else (460.0, 250.0)
    left, right, top = 6.0, 6.0, 6.0
    bottom = height - (20 if small else 36)
    sets = {part: shares(histogram, at) for part, histogram in parts.items()}
    high = max(float(values.max(initial=0.0)) for values in sets.values()) or 1.0
    if target is not None:
        sets["target"] = shares(target, at)
        high = max(high, float(sets["target"].max()))
    x, y = linear(at[0], at[-1], left, width - right), linear(0, high, bottom, top)
    lines = [
        element("path", d=_steps(values, at, x, y), class_=f"curve {part}") for part, values in sets.items()
    ]
    hits = [
        element(
            "rect",
            title(_bin(name, sets, at, i)),
            x=x(at[i]),
            y=top,
            width=x(at[i + 1]) - x(at[i]),
            height=bottom - top,
            class_="hit",
        )
        for i in range(len(at) - 1)
    ]
    round_ = [t for t in ticks(at[0], at[-1], 6 if small else 10) if left + 8 < x(t) < width - right - 8]
    axis = bottom_axis(round_, x, bottom, left, width - right)
    middle = (left + width - right) / 2
    below = None if small else words(middle, height - 4, "log-odds of the true class", "middle")
    label = f"{name}: histogram of the log-odds of the true class on forget, retain and test"
    return sheet(width, height, label, *lines, axis, below, *hits)


def _bin(name: str, sets: Mapping[str, Floats], at: Floats, i: int) -> str:
    called = {"target": "forget, by the reference"}
    low = "below" if i == 0 else f"{at[i]:g} to"
    high = "and more" if i == len(at) - 2 else f"{at[i + 1]:g}"
    values = ", ".join(f"{called.get(part, part)} {100 * v[i]:.1f} %" for part, v in sets.items())
    return f"{name}, log-odds {low} {high}: {values}"


def _steps(values: Floats, at: Floats, x: Scale, y: Scale) -> str:
    points = [f"M{x(at[0]):.1f} {y(0):.1f}"]
    for i, value in enumerate(values):
        points.append(f"V{y(value):.1f}H{x(at[i + 1]):.1f}")
    return "".join(points) + f"V{y(0):.1f}Z"


def roc_figure(name: str, parts: Parts, target: tuple[str, Parts] | None) -> Markup | None:
    """The attack that tells forget from test by a threshold; dashed: the same for the reference."""
    false, true = roc(parts["forget"], parts["test"])
    if not false.size:
        return None
    size, left, top, bottom = 312.0, 46.0, 8.0, 254.0
    right = left + bottom - top
    x, y = linear(0, 100, left, right), linear(0, 100, bottom, top)
    auc = area(false, true)
    drawn = [rule(x(0), y(0), x(100), y(100), "chance")]
    key = [f"{name}: area {auc:.1f} %"]
    if target is not None:
        other = roc(target[1]["forget"], target[1]["test"])
        if other[0].size:
            drawn.append(element("path", d=_line(*other, x, y), class_="roc reference"))
            key.append(f"{target[0]}: area {area(*other):.1f} %")
    drawn.append(element("path", d=_line(false, true, x, y), class_="roc"))
    drawn += [
        element(
            "circle",
            title(f"{name}: of test {100 * f:.1f} %, of forget {100 * t:.1f} % are called members"),
            cx=x(100 * f),
            cy=y(100 * t),
            r=4,
            class_="hit",
        )
        for f, t in zip(false, true, strict=True)
    ]
    at = [0.0, 25.0, 50.0, 75.0, 100.0]
    axes = [
        bottom_axis(at, x, bottom, left, right),
        left_axis(at, y, left, top, bottom),
        words((left + right) / 2, bottom + 34, "test called members, percent", "middle"),
        upright(12, (top + bottom) / 2, "forget called members, percent"),
    ]
    written = [words(right - 4, bottom - 12 - 16 * i, line, "end") for i, line in enumerate(reversed(key))]
    return sheet(size, bottom + 42, "; ".join(key), *axes, *drawn, *written)


def _line(false: Floats, true: Floats, x: Scale, y: Scale) -> str:
    points = dict.fromkeys(f"{x(100 * f):.1f} {y(100 * t):.1f}" for f, t in zip(false, true, strict=True))
    return "M" + "L".join(points)
