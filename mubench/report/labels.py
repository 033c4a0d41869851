"""Names beside points such that no name covers another name or a point.

Greedy and deterministic: the most crowded point goes first and takes the cheapest of a fixed set
of places around it. What may not be covered rules a place out; what should not be makes it dear.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

# Points (1/72 inch): room around a marker's centre, between two names, to the frame, and when a line leads back.
_MARKER, _PAD, _INSET, _LEADER_FROM = 5.0, 1.5, 4.0, 14.0
_RADII = (
    7.0,
    10.0,
    14.0,
    18.0,
    24.0,
    31.0,
    39.0,
    48.0,
    58.0,
    70.0,
    85.0,
    105.0,
    130.0,
    160.0,
    200.0,
    250.0,
    320.0,
)
_ANGLES = np.deg2rad(np.arange(0, 360, 15))
# What a place costs, in points of distance.
_OVER_LINE, _LEADER_OVER_NAME, _LEADER_CROSSING = 15.0, 40.0, 25.0


def place(
    ax: Axes,
    points: NDArray[np.float64],
    texts: Sequence[str],
    lines: Sequence[NDArray[np.float64]] = (),
) -> list[Annotation]:
    """Write texts[i] near points[i]; call it when limits and layout of the axes are final.

    points: (n, 2) data coordinates. lines: (2, 2) each, ends of drawn lines (data coordinates) that
    names should keep clear of where they can.
    """
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    unit = figure.dpi / 72
    spots = ax.transData.transform(points) / unit
    drawn = [Path(ax.transData.transform(line) / unit) for line in lines]
    frame = ax.get_window_extent().padded(-_INSET * unit).extents / unit
    notes = [_note(ax, xy, text) for xy, text in zip(points, texts, strict=True)]
    zero = [note.get_window_extent(canvas.get_renderer()).extents / unit for note in notes]
    markers = np.hstack([spots - _MARKER, spots + _MARKER])
    names = np.empty((0, 4))
    leaders: list[Path] = []
    for i in _crowded_first(spots):
        box = _best(spots[i], zero[i], frame, np.vstack([markers, names]), names, drawn, leaders)
        names = np.vstack([names, box])
        notes[i].set_position(tuple(box[:2] - zero[i][:2]))
        leader = _leader(spots[i], box)
        if np.ptp(leader.vertices, axis=0).max() > _LEADER_FROM:
            leaders.append(leader)
            ends = ax.transData.inverted().transform(leader.vertices * unit)
            ax.plot(*ends.T, color="0.55", linewidth=0.6, zorder=1.5)
    return notes


def _note(ax: Axes, xy: NDArray[np.float64], text: str) -> Annotation:
    halo = [withStroke(linewidth=2, foreground="white")]
    # Above every marker and line, so that the halo keeps a name readable where it crosses one.
    return ax.annotate(
        text, tuple(xy), (0, 0), textcoords="offset points", fontsize=9, path_effects=halo, zorder=6
    )


def _crowded_first(spots: NDArray[np.float64]) -> list[int]:
    apart = np.linalg.norm(spots[:, None] - spots[None], axis=2)
    crowd = (1 / (apart + 10)).sum(axis=1).round(9)
    return [int(i) for i in np.argsort(-crowd, kind="stable")]


def _best(
    spot: NDArray[np.float64],
    zero: NDArray[np.float64],
    frame: NDArray[np.float64],
    taken: NDArray[np.float64],
    names: NDArray[np.float64],
    drawn: Sequence[Path],
    leaders: Sequence[Path],
) -> NDArray[np.float64]:
    """The cheapest free place; where nothing at all is free, the one that covers least."""
    half = (zero[2:] - zero[:2]) / 2
    best, least, fallback, cover = None, np.inf, zero, np.inf
    for radius in _RADII:
        if radius >= least:
            break
        for angle in _ANGLES:
            way = np.array([np.cos(angle), np.sin(angle)])
            middle = spot + way * (radius + half)
            box = np.concatenate([middle - half, middle + half])
            outside = np.clip(np.concatenate([frame[:2] - box[:2], box[2:] - frame[2:]]), 0, None).sum()
            covered = _overlap(box, taken) + 1e3 * outside
            if covered > 0:
                if covered < cover:
                    fallback, cover = box, covered
                continue
            cost = radius + _dear(spot, box, names, drawn, leaders)
            if cost < least:
                best, least = box, cost
    return fallback if best is None else best


def _overlap(box: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """The area that the box, with a margin, shares with the others."""
    low = np.maximum(box[:2] - _PAD, others[:, :2])
    high = np.minimum(box[2:] + _PAD, others[:, 2:])
    return float(np.clip(high - low, 0, None).prod(axis=1).sum())


def _dear(
    spot: NDArray[np.float64],
    box: NDArray[np.float64],
    names: NDArray[np.float64],
    drawn: Sequence[Path],
    leaders: Sequence[Path],
) -> float:
    area, leader = Bbox(box.reshape(2, 2)), _leader(spot, box)
    cost = _OVER_LINE * sum(line.intersects_bbox(area, filled=False) for line in (*drawn, *leaders))
    cost += _LEADER_OVER_NAME * sum(
        leader.intersects_bbox(Bbox(n.reshape(2, 2)), filled=False) for n in names
    )
    return float(
        cost + _LEADER_CROSSING * sum(leader.intersects_path(other, filled=False) for other in leaders)
    )


def _leader(spot: NDArray[np.float64], box: NDArray[np.float64]) -> Path:
    """From the point to the nearest place on the name's edge."""
    return Path([spot, np.clip(spot, box[:2], box[2:])])
