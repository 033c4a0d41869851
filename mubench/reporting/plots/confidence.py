"""What an attacker sees: how sure each model is of the true class, set by set."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from mubench.reporting.histograms import WIDTH, Histogram
from mubench.reporting.plots import style
from mubench.reporting.plots.shown import Shown

_SETS = {"retain": style.SKY, "test": style.GREEN}
_BINS = 48


def confidence(shown: Shown) -> Figure | None:
    """One panel per row, the reference's forget set repeated in each; None without scores."""
    names = [str(n) for n in shown.rows.index if n in shown.scores]
    names.sort(key=lambda n: shown.rows.loc[n, "role"] != "reference")
    filled = [h for n in names for h in shown.scores[n].values() if h.counts]
    if not filled:
        return None
    edges = _edges(filled)
    target = names[0] if shown.rows.loc[names[0], "role"] == "reference" else None
    columns = min(style.ncols(4, 3), len(names))
    lines = math.ceil(len(names) / columns)
    figure = style.figure(1.1 + 1.35 * lines, layout="constrained")
    outline = None if target is None else _density(shown.scores[target]["forget"], edges)
    for i, name in enumerate(names):
        ax = figure.add_subplot(lines, columns, i + 1)
        _panel(ax, shown.scores[name], edges, None if name == target else outline)
        ax.set_title(name, fontsize=9 * style.scale(), pad=3)
        ax.tick_params(labelsize=8 * style.scale(), labelbottom=i >= len(names) - columns)
    axis = "Log-odds of the true class: 0 is an even chance, further right is surer"
    below = style.wrapped(f"{axis}\n(images beyond the ends are in the outermost bins)", style.inches())
    figure.supxlabel(below, fontsize=10 * style.scale())
    figure.supylabel("Share of images", fontsize=10 * style.scale())
    figure.legend(
        handles=_key(target if len(names) > 1 else None),
        loc="outside upper center",
        ncols=style.ncols(4, 2),
        fontsize=9 * style.scale(),
    )
    return figure


def _panel(
    ax: Axes, scores: Mapping[str, Histogram], edges: NDArray[np.float64], outline: NDArray[np.float64] | None
) -> None:
    """One row's sets; outline: the reference's forget set."""
    shares = {part: _density(scores[part], edges) for part in ("forget", *_SETS)}
    ax.stairs(shares["forget"], edges, fill=True, color=style.VERMILLION, alpha=0.55)
    for part, colour in _SETS.items():
        ax.stairs(shares[part], edges, color=colour, linewidth=1.4)
    if outline is not None:
        shares["outline"] = outline
        ax.stairs(outline, edges, color="black", linewidth=1)
    # panels that share an axis ask each other for it again and again, which takes a third of the drawing
    room = 0.05 * (edges[-1] - edges[0])
    ax.set_xlim(edges[0] - room, edges[-1] + room)
    ax.set_ylim(0, 1.05 * max(float(of.max()) for of in shares.values()) or 1.0)
    ax.yaxis.set_visible(False)


def _key(target: str | None) -> list[Patch | Line2D]:
    key: list[Patch | Line2D] = [Patch(color=style.VERMILLION, alpha=0.55, label="forget")]
    key += [Line2D([], [], color=colour, linewidth=1.4, label=part) for part, colour in _SETS.items()]
    if target is not None:
        key.append(Line2D([], [], color="black", linewidth=1, label=f"forget, by {target}"))
    return key


def _edges(histograms: list[Histogram]) -> NDArray[np.float64]:
    """Edges of at most 48 bins, from where to where nearly all sets have 98 % of their images.

    One model gone astray must not squeeze the others' panels; its images pile up at the end.
    """
    ends = np.array([h.quantiles([0.01, 0.99]) for h in histograms])
    low, high = np.quantile(ends[:, 0], 0.1), np.quantile(ends[:, 1], 0.9)
    first, last = math.floor(low / WIDTH), math.floor(high / WIDTH) + 1
    step = max(1, math.ceil((last - first) / _BINS))
    bins = max(4, math.ceil((last - first) / step))
    edges: NDArray[np.float64] = WIDTH * (first + step * np.arange(bins + 1, dtype=np.float64))
    return edges


def _density(histogram: Histogram, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of the values per bin of the picture; those beyond it count at its ends."""
    middles = np.clip(histogram.left + WIDTH / 2, edges[0], edges[-1])
    counts: NDArray[np.float64] = np.histogram(middles, edges, weights=histogram.counts)[0]
    return counts / max(sum(histogram.counts), 1)
