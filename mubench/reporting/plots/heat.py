"""How far each method ends from the reference, class by class: a map with its numbers in it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mubench.reporting.classes import ClassSummary
from mubench.reporting.plots import style
from mubench.reporting.plots.shown import within

# In inches.
_LINE = 0.26  # height of a line of the map
_BAR = 0.75  # height of the colour bar with its words
_LETTER = 0.078  # width of a letter
_SIDES = 0.45  # what the map leaves at its sides
# Sizes of the numbers in points.
_SIZE, _SMALLEST = 9.0, 6.0


def gap_by_class(summary: ClassSummary) -> Figure | None:
    """The headline Avg. Gap, a line per class and a column per method; None if there is none to show.

    The mean over the classes comes last. The reference, whose gaps are 0, is left out; what has no
    number stays white, with a dash.
    """
    if not summary.mean.columns.gaps:
        return None
    gap, reference = summary.mean.columns.headline, summary.mean.reference
    numbers = summary.numbers
    wide = numbers.pivot(index="class", columns="method", values=gap.name)
    wide = wide.reindex(index=numbers["class"].unique(), columns=numbers["method"].unique())
    wide = wide.drop(columns=reference).dropna(axis="columns", how="all")
    if wide.empty:
        return None
    names, labels = [str(name) for name in wide.columns], [str(label) for label in wide.index]
    longest = max(map(len, names))
    letter = _LETTER * style.scale()
    width = style.inches() - _SIDES - letter * max(map(len, labels))
    upright = longest * letter > width / len(names)
    height = _LINE * len(wide) + _BAR + (longest * _LETTER + 0.15 if upright else 0.3)
    figure = style.figure(height, layout="constrained")
    ax = figure.add_subplot()
    values = wide.to_numpy(float)
    finite = values[np.isfinite(values)]
    # One method far astray must not make all others equally pale: the darkest colour is "or more".
    top = max(float(finite[within(finite, 0.0)].max(initial=0.0)), 0.01)
    mesh = ax.pcolormesh(values, cmap="Blues", vmin=0, vmax=top, edgecolors="white", linewidth=1)
    # The mean is no class: a line sets it apart.
    ax.axhline(len(wide) - 1, color="black", linewidth=1)
    ax.invert_yaxis()
    ax.set_yticks(np.arange(len(labels)) + 0.5, labels)
    ax.set_xticks(np.arange(len(names)) + 0.5, names, rotation=90 if upright else 0)
    ax.xaxis.tick_top()
    ax.set_ylabel("Class forgotten")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    bar = figure.colorbar(
        mesh,
        ax=ax,
        location="bottom",
        extend="max" if (finite > top).any() else "neither",
        fraction=0.3 / height,
        aspect=40,
        pad=0.1 / height,
    )
    bar.set_label(
        f"{gap.title} to {reference}, points: the paler, the closer", fontsize=_SIZE * style.scale()
    )
    bar.outline.set_visible(False)
    _write(figure, ax, values, top)
    return figure


def _write(figure: Figure, ax: Axes, values: NDArray[np.float64], top: float) -> None:
    """The numbers, as many digits and as large as the columns allow, else none."""
    figure.draw_without_rendering()  # the layout settles, so that the columns have their width
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    room = 0.86 * ax.get_window_extent().width / values.shape[1]
    for digits in (2, 1, 0):
        texts = np.array([["–" if np.isnan(v) else f"{v:.{digits}f}" for v in line] for line in values])
        probe = ax.text(0, 0, max(texts.ravel(), key=len), fontsize=_SIZE)
        size = min(_SIZE, _SIZE * room / probe.get_window_extent(renderer).width)
        probe.remove()
        if size >= _SMALLEST:
            break
    else:
        return
    for (row, column), text in np.ndenumerate(texts):
        dark = values[row, column] > 0.6 * top
        ax.text(
            column + 0.5,
            row + 0.5,
            text,
            ha="center",
            va="center",
            fontsize=size,
            color="white" if dark else "black",
        )
