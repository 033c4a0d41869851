"""Methods as named points: what forgetting costs in utility, and what closeness costs in time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

from mubench.reporting.plots import style
from mubench.reporting.plots.labels import place
from mubench.reporting.plots.shown import Shown, within

_MARGIN = 0.14
_HEIGHT = 5.2
_MARKERS = {"reference": "*", "baseline": "D", "floor": "s", "method": "o"}
# A point astray is drawn at the edge, as a triangle towards where it really is.
_ASTRAY = {(-1, 0): "<", (1, 0): ">", (0, -1): "v", (0, 1): "^"}
_CROSS: dict[str, Any] = {"color": "0.6", "linewidth": 0.8, "linestyle": "--", "zorder": 0.5}


def forget_vs_utility(shown: Shown) -> Figure | None:
    """UA against TA with the reference as the cross-hair; None without any point."""
    if not {"ua", "ta"} <= set(shown.columns.names):
        return None
    rows = shown.rows[shown.rows["ua"].notna() & shown.rows["ta"].notna()]
    if rows.empty:
        return None
    reference = [str(row) for row in rows.index[rows["role"] == "reference"]]
    cross = f"; the cross-hair is {reference[0]}" if reference else ""
    figure, ax = _axes(
        f"UA: share of the forget set that is misclassified, percent{cross}",
        "TA: accuracy on the test set, percent",
    )
    target = rows[rows["role"] == "reference"]
    points = rows[["ua", "ta"]].to_numpy(float)
    spread = rows[["ua_std", "ta_std"]].fillna(0.0).to_numpy(float)
    centre = target[["ua", "ta"]].to_numpy(float)[0] if len(target) else np.median(points, axis=0)
    inside = np.stack([within(points[:, k], centre[k]) for k in (0, 1)], axis=1)
    ax.set_xlim(*_limits(points[:, 0], spread[:, 0], inside[:, 0]))
    ax.set_ylim(*_limits(points[:, 1], spread[:, 1], inside[:, 1]))
    lines, whole = [], (points == _seen(ax, points)).all(axis=1)
    for (x, y), (dx, dy) in zip(points[whole], spread[whole], strict=True):
        lines += [np.array([[x - dx, y], [x + dx, y]]), np.array([[x, y - dy], [x, y + dy]])]
        ax.errorbar(x, y, dy, dx, fmt="none", ecolor="0.45", elinewidth=0.9, zorder=2)
    if len(target):
        (x, y), (dx, dy) = centre, spread[rows["role"] == "reference"][0]
        ax.axvspan(x - dx, x + dx, color="0.93", zorder=0)
        ax.axhspan(y - dy, y + dy, color="0.93", zorder=0)
        ax.axvline(x, **_CROSS)
        ax.axhline(y, **_CROSS)
        lines += [np.array([[x, b] for b in ax.get_ylim()]), np.array([[a, y] for a in ax.get_xlim()])]
    _points(ax, rows, points, ("UA", "TA"), lines)
    return figure


def cost_vs_gap(shown: Shown) -> Figure | None:
    """Run time as a share of the reference's (log) against the headline Avg. Gap; None without any point."""
    if not shown.columns.gaps:
        return None
    gap = shown.columns.headline
    rows = shown.rows[shown.rows["rte_ratio"].notna() & shown.rows[gap.name].notna()]
    # Doing nothing takes no time: on a log axis that is nowhere, or far off to the left.
    idle = (rows["rte_ratio"] <= 0) | ((rows["role"] == "baseline") & (rows["rte_ratio"] < 0.01))
    left_out, rows = list(rows.index[idle]), rows[~idle]
    if (rows["role"] == "reference").all():
        return None
    band = shown.bands.get(gap.name, 0.0)
    name = [str(row) for row in rows.index[rows["role"] == "reference"]]
    note = f"\nNot shown, as it takes no time: {', '.join(map(str, left_out))}" if left_out else ""
    figure, ax = _axes(
        f"Run time as a share of {name[0] if name else 'the reference'}'s{note}",
        f"{gap.title}, points" + (" (shaded: noise floor band)" if band else ""),
    )
    points = rows[["rte_ratio", gap.name]].to_numpy(float)
    ratios, gaps = points.T
    ax.set_xscale("log")
    ax.set_xlim(ratios.min() / 1.7, ratios.max() * 1.7)
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if ratios.max() < 300 * ratios.min() else (1,)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    high = 1.15 * max(*gaps[within(gaps, 0.0)], band, 0.5)
    ax.set_ylim(-0.06 * high, high)
    lines = []
    if band:
        ax.axhspan(0, band, **style.BAND, zorder=0)
        lines.append(np.array([[a, band] for a in ax.get_xlim()]))
    _points(ax, rows, points, ("RTE", gap.title), lines)
    return figure


def _axes(below: str, beside: str) -> tuple[Figure, Axes]:
    """Axes with fixed margins: names are placed in pixels, so nothing may move afterwards.

    below, beside: what the axes are called; there is room for two lines below, and for more of them.
    """
    scale, width = style.scale(), style.inches()
    text = style.wrapped(below, width - 0.84 * scale)
    more = 0.17 * max(0, text.count("\n") - 1)
    figure = style.figure(_HEIGHT + more)
    height = (_HEIGHT + more) * scale
    left, bottom = 0.68 * scale, (0.135 * _HEIGHT + more) * scale / height
    top = 0.025 * _HEIGHT * scale / height
    size = (width - left - 0.16 * scale) / width, 1 - bottom - top
    ax = figure.add_axes((left / width, bottom, *size))
    ax.set_xlabel(text)
    ax.set_ylabel(beside)
    return figure, ax


def _limits(
    values: NDArray[np.float64], spread: NDArray[np.float64], inside: NDArray[np.bool_]
) -> tuple[float, float]:
    """Limits around the values inside, with their spread unless it dwarfs them, and a margin."""
    kept, room = values[inside], np.minimum(spread[inside], max(np.ptp(values[inside]), 0.5))
    low, high = float((kept - room).min()), float((kept + room).max())
    margin = _MARGIN * max(high - low, 0.5)
    return low - margin, high + margin


def _seen(ax: Axes, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points, those beyond the axes moved to the edge."""
    corners = np.array([ax.get_xlim(), ax.get_ylim()]).T
    return np.asarray(np.clip(points, corners[0], corners[1]))


def _points(
    ax: Axes,
    rows: pd.DataFrame,
    points: NDArray[np.float64],
    axes: tuple[str, str],
    lines: list[NDArray[np.float64]],
) -> None:
    """Markers and names; a value outside the axes is said in words after the name."""
    seen = _seen(ax, points)
    inside = points == seen
    texts = []
    for i, name in enumerate(rows.index):
        role = rows["role"].iloc[i]
        way = np.sign(points[i] - seen[i]).astype(int)
        if way[0]:
            way[1] = 0
        marker = _MARKERS[role] if inside[i].all() else _ASTRAY[way[0], way[1]]
        size = 13 if marker == "*" else 7
        look: dict[str, Any] = {
            "color": style.ROLES[role],
            "markersize": size,
            "markeredgecolor": "white",
            "markeredgewidth": 0.7,
        }
        ax.plot(*seen[i], marker, zorder=4 if role == "reference" else 3, clip_on=False, **look)
        away = [
            f"{axis} {v:.2f}" for axis, v, fine in zip(axes, points[i], inside[i], strict=True) if not fine
        ]
        texts.append(f"{name} ({', '.join(away)})" if away else str(name))
    place(ax, seen, texts, lines)
