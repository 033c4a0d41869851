"""How far each method ends from the reference: bars for the means, dots for the seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from mubench.reporting.plots import style
from mubench.reporting.plots.shown import Shown, within

_BAR = 0.62
_INTERVAL: dict[str, Any] = {"fmt": "none", "ecolor": "dimgray", "elinewidth": 1.1, "capsize": 2.5}


def avg_gap(shown: Shown) -> Figure | None:
    """The Avg. Gaps side by side, best by the headline, the first, on top; None without a row to compare."""
    gaps = shown.columns.gaps
    complete = shown.rows[[gap.name for gap in gaps]].notna().all(axis=1)
    rows = shown.rows[complete & (shown.rows["role"] != "reference")]
    if rows.empty or not gaps:
        return None
    rows = rows.sort_values(shown.columns.headline.name, kind="stable")
    figure = style.figure(1.25 + 0.27 * len(rows), layout="constrained")
    panels = figure.subplots(1, len(gaps), sharey=True, squeeze=False)[0]
    cut = [_panel(ax, shown, rows.index, gap.name) for ax, gap in zip(panels, gaps, strict=True)]
    panels[0].set_yticks(range(len(rows)), [str(name) for name in rows.index])
    panels[0].set_ylim(len(rows) - 0.45, -0.55)
    for ax, gap in zip(panels, gaps, strict=True):
        ax.set_xlabel(f"{gap.title}, points")
    figure.legend(
        handles=_key(shown, any(cut)),
        loc="outside lower center",
        ncols=style.ncols(3, 2),
        fontsize=9 * style.scale(),
    )
    return figure


def _panel(ax: Axes, shown: Shown, order: pd.Index[str], column: str) -> bool:
    """Draws one estimator; returns whether a bar had to be cut."""
    means = shown.rows.loc[order, column].to_numpy(float)
    colours = [style.ROLES[role] for role in shown.rows.loc[order, "role"]]
    inside = within(means, 0.0)
    dots = {i: _dots(shown, name, column) for i, name in enumerate(order) if inside[i]}
    most = max(
        [*means[inside], shown.bands.get(column, 0.0), *(d.max() for d in dots.values() if d.size), 1e-9]
    )
    low, high = (shown.rows.loc[order, f"{column}_{end}"].to_numpy(float) for end in ("low", "high"))
    # An interval may be so wide that it would press the bars into a corner: its line is then cut short.
    most = max([most, *np.minimum(high, 2 * most)[inside & np.isfinite(high)]])
    # The numbers make a column at the right edge: beside a dot they would read as the dot's.
    limit = 1.25 * most if style.inches() > 5 else 1.6 * most
    ax.barh(range(len(means)), np.minimum(means, limit), _BAR, color=colours)
    for i, mean in enumerate(means):
        look: dict[str, Any] = {} if inside[i] else {"color": "white", "weight": "bold"}
        text = f"{mean:.2f}" if inside[i] else f"▶ {mean:.2f}"
        ax.annotate(
            text,
            (limit, i),
            (-4, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=9 * style.scale(),
            **look,
        )
    at = np.concatenate([np.stack([of, np.full_like(of, i)]) for i, of in dots.items()], axis=1)
    # An empty line that is not clipped has no extent, which upsets the layout.
    if at.size:
        ax.plot(*at, "o", color="black", markersize=4, mew=0.7, mec="white", clip_on=False)
    known = inside & np.isfinite(low)
    if known.any():
        ends = np.abs(np.stack([low, np.minimum(high, most)]) - means)[:, known]
        ax.errorbar(means[known], np.flatnonzero(known), xerr=ends, **_INTERVAL)
    if column in shown.bands:
        ax.axvspan(0, shown.bands[column], **style.BAND, zorder=0)
    ax.set_xlim(0, limit)
    ax.tick_params(axis="y", length=0)
    return not bool(inside.all())


def _dots(shown: Shown, name: str, column: str) -> NDArray[np.float64]:
    """The values of the row's seeds; none for a single seed, which the bar already shows."""
    values = shown.seeds.loc[shown.seeds["method"] == name, column].to_numpy(float)
    return values if values.size > 1 else values[:0]


def _key(shown: Shown, cut: bool) -> list[Patch | Line2D]:
    dot: dict[str, Any] = {"marker": "o", "color": "black", "linestyle": "", "markersize": 4}
    key: list[Patch | Line2D] = [Patch(color=style.BLUE, label="from the means over seeds")]
    if shown.seeds["seed"].nunique() > 1:
        key.append(Line2D([], [], **dot, label="one seed on its own"))
    if shown.rows[[f"{gap.name}_low" for gap in shown.columns.gaps]].notna().any(axis=None):
        key.append(Line2D([], [], color="dimgray", linewidth=1.1, label="95 % interval"))
    if shown.bands:
        key.append(Patch(**style.BAND, label="noise floor band"))
    if cut:
        key.append(Line2D([], [], **dot | {"marker": ">"}, label="bar cut short"))
    return key
