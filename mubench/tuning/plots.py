"""Pictures of a search: how the best score fell, which parameters mattered, and where the good values lie."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from mubench.reporting.plots import draw, style
from mubench.tuning.outcome import frame, importances
from mubench.tuning.study import Done, MethodStudy

_SOURCES = (Path(__file__), Path(style.__file__))
_SCORED = ("complete", "pruned")
_KEY = "hollow: given up on its first sets; at the upper edge: beyond it"


def pictures(studies: Sequence[MethodStudy], title: str, folder: Path) -> list[Path]:
    """PNG, SVG and PDF of history, importance and slices in the folder, if they have changed; their paths.

    title: of the score.
    """
    makers: dict[str, Callable[[], Figure | None]] = {
        "history": partial(history, studies, title),
        "importance": partial(importance, studies),
        "slice": partial(slices, studies, title),
    }
    text = f"{title}\n{frame(studies, []).to_csv()}"
    return draw.draw_if_new(folder, _SOURCES, text, makers)


def history(studies: Sequence[MethodStudy], title: str) -> Figure:
    """A panel per method: the trials in their order, and the best score so far."""
    figure, panels = _panels(len(studies), 1.6)
    for ax, study in zip(panels, studies, strict=True):
        whole, pruned = ([(one.number, y) for one, y in _scored(study, state)] for state in _SCORED)
        best = np.minimum.accumulate([y for _, y in whole])
        ax.step([x for x, _ in whole], best, where="post", color=style.VERMILLION)
        _dots(ax, whole, pruned)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        ax.set_title(study.spec.name, fontsize=9 * style.scale(), pad=3)
    _label(figure, f"Trial ({_KEY})", title)
    return figure


def importance(studies: Sequence[MethodStudy]) -> Figure | None:
    """A bar per parameter, method by method; None where it is known of none."""
    shares = {study.spec.name: importances(study) for study in studies}
    shares = {name: of for name, of in shares.items() if of}
    if not shares:
        return None
    names = [f"{method}: {parameter}" for method, of in shares.items() for parameter in of]
    values = [share for of in shares.values() for share in of.values()]
    figure = style.figure(0.8 + 0.22 * len(names), layout="constrained")
    ax = figure.add_subplot()
    ax.barh(range(len(names)), values, 0.62, color=style.BLUE)
    ax.set_yticks(range(len(names)), names, fontsize=8 * style.scale())
    ax.set_ylim(len(names) - 0.45, -0.55)
    ax.set_xlabel("Importance within the method (PED-ANOVA)")
    return figure


def slices(studies: Sequence[MethodStudy], title: str) -> Figure:
    """A panel per parameter of each method: its value and the score of every trial."""
    wanted = [(study, name) for study in studies for name in study.space]
    figure, panels = _panels(len(wanted), 1.5)
    for ax, (study, name) in zip(panels, wanted, strict=True):
        choices = study.spec.search[name].get("choices")
        if choices is None:
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(LogLocator(numticks=4))
            ax.xaxis.set_major_formatter("{x:g}")
            ax.xaxis.set_minor_locator(NullLocator())
        else:
            ax.set_xticks(range(len(choices)), [str(value) for value in choices], fontsize=7 * style.scale())
            ax.set_xlim(-0.5, len(choices) - 0.5)
        place = (lambda value: value) if choices is None else choices.index
        whole, pruned = (
            [(place(one.parameters[name]), y) for one, y in _scored(study, state)] for state in _SCORED
        )
        _dots(ax, whole, pruned)
        ax.set_title(f"{study.spec.name}: {name}", fontsize=9 * style.scale(), pad=3)
    _label(figure, f"Value ({_KEY})", title)
    return figure


def _panels(count: int, height: float) -> tuple[Figure, list[Axes]]:
    columns = min(style.ncols(4, 2), count)
    lines = math.ceil(count / columns)
    figure = style.figure(0.6 + height * lines, layout="constrained")
    panels = list(figure.subplots(lines, columns, squeeze=False).ravel())
    for ax in panels[count:]:
        ax.remove()
    for ax in panels[:count]:
        ax.tick_params(labelsize=8 * style.scale())
    return figure, panels[:count]


def _dots(ax: Axes, whole: Sequence[tuple[float, float]], pruned: Sequence[tuple[float, float]]) -> None:
    """Filled and hollow dots; those far above the rest lie on the upper edge."""
    scores = np.array([y for _, y in whole])
    if len(scores):
        low, high = scores.min(), np.quantile(scores, 0.75)
        ax.set_ylim(max(0.0, low - 0.15 * (high - low) - 0.5), high + 0.5 * (high - low) + 0.5)
    top = ax.get_ylim()[1] if len(scores) else math.inf
    for dots, face in ((pruned, "none"), (whole, style.BLUE)):
        xs, ys = [x for x, _ in dots], [min(y, top) for _, y in dots]
        look: dict[str, Any] = {"facecolors": face, "edgecolors": style.BLUE, "linewidths": 0.8}
        ax.scatter(xs, ys, 14, clip_on=False, zorder=3, **look)


def _scored(study: MethodStudy, state: str) -> list[tuple[Done, float]]:
    return [(one, one.score) for one in study.done() if one.state == state and one.score is not None]


def _label(figure: Figure, below: str, title: str) -> None:
    figure.supxlabel(style.wrapped(below, style.inches()), fontsize=10 * style.scale())
    figure.supylabel(f"{title}, points", fontsize=10 * style.scale())
