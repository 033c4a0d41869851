"""Names beside points such that no name covers another name or a point.

Greedy and deterministic: the most crowded point goes first and takes the cheapest of a fixed set
of places around it. A place that covers a name or a point is out; one that covers a line costs more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from mubench.reporting.plots.style import scale

Floats = NDArray[np.float64]

# In points (1/72 inch).
_MARKER = 5.0  # room around a marker's centre
_PAD = 1.5  # room between two names
_INSET = 4.0  # room between a name and the frame
_LEADER_FROM = 14.0  # distance from which on a line leads back to the point
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
_DIRECTIONS = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
# What a place costs besides its distance, in points.
_OVER_LINE = 15.0
_LEADER_OVER_NAME = 40.0
_LEADER_CROSSING = 25.0


def place(ax: Axes, points: Floats, texts: Sequence[str], lines: Sequence[Floats] = ()) -> list[Annotation]:
    """Write texts[i] near points[i]; call it when limits and layout of the axes are final.

    points: (n, 2) data coordinates. lines: (2, 2) each, ends of drawn lines (data coordinates) that
    names should keep clear of where they can.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    unit = figure.dpi / 72

    def corners(box: Bbox) -> Floats:
        return np.asarray(box.extents) / unit

    spots = np.asarray(ax.transData.transform(points)) / unit
    drawn = [Path(np.asarray(ax.transData.transform(line)) / unit) for line in lines]
    sheet = _Sheet(corners(ax.get_window_extent().padded(-_INSET * unit)), spots, drawn)
    notes = [_note(ax, xy, text) for xy, text in zip(points, texts, strict=True)]
    for i in _crowded_first(spots):
        start = corners(notes[i].get_window_extent(renderer))
        box = sheet.best(spots[i], (start[2:] - start[:2]) / 2)
        notes[i].set_position(tuple(box[:2] - start[:2]))
        leader = sheet.add(spots[i], box)
        if leader is not None:
            ends = ax.transData.inverted().transform(np.asarray(leader.vertices) * unit)
            ax.plot(*np.asarray(ends).T, color="0.55", linewidth=0.6, zorder=1.5)
    return notes


def _note(ax: Axes, xy: Floats, text: str) -> Annotation:
    halo = [withStroke(linewidth=2, foreground="white")]
    # Above every marker and line, so that the halo keeps a name readable where it crosses one.
    return ax.annotate(
        text,
        (xy[0], xy[1]),
        (0, 0),
        textcoords="offset points",
        fontsize=9 * scale(),
        path_effects=halo,
        zorder=6,
    )


def _crowded_first(spots: Floats) -> list[int]:
    apart = np.linalg.norm(spots[:, None] - spots[None], axis=2)
    crowd = (1 / (apart + 10)).sum(axis=1).round(9)
    return [int(i) for i in np.argsort(-crowd, kind="stable")]


@dataclass
class _Sheet:
    """What is already drawn, in points (1/72 inch); a box is (left, bottom, right, top)."""

    frame: Floats
    spots: Floats
    lines: list[Path]
    names: list[Floats] = field(default_factory=list)
    leaders: list[Path] = field(default_factory=list)

    def best(self, spot: Floats, half: Floats) -> Floats:
        """The cheapest free place for a name of this half size; with none free, what covers least."""
        taken = np.vstack([np.hstack([self.spots - _MARKER, self.spots + _MARKER]), *self.names])
        best, least, fallback, cover = None, np.inf, np.empty(4), np.inf
        for radius in _RADII:
            if radius >= least:
                break
            middles = spot + _DIRECTIONS * (radius + half)
            boxes = np.hstack([middles - half, middles + half])
            covered = _overlap(boxes, taken) + 1e3 * self._outside(boxes)
            for box in boxes[covered == 0]:
                cost = radius + self._penalty(spot, box)
                if cost < least:
                    best, least = box, cost
            if covered.min() < cover:
                fallback, cover = boxes[covered.argmin()], covered.min()
        return fallback if best is None else best

    def add(self, spot: Floats, box: Floats) -> Path | None:
        """Take the place; returns the line back to the point if the name is too far off without."""
        self.names.append(box)
        leader = _leader(spot, box)
        if np.ptp(np.asarray(leader.vertices), axis=0).max() <= _LEADER_FROM:
            return None
        self.leaders.append(leader)
        return leader

    def _outside(self, boxes: Floats) -> Floats:
        """How far boxes (n, 4) reach beyond the frame: (n,)."""
        beyond = np.hstack([self.frame[:2] - boxes[:, :2], boxes[:, 2:] - self.frame[2:]])
        return np.asarray(np.clip(beyond, 0, None).sum(axis=1))

    def _penalty(self, spot: Floats, box: Floats) -> float:
        area, leader = Bbox(box.reshape(2, 2)), _leader(spot, box)
        over = sum(line.intersects_bbox(area, filled=False) for line in (*self.lines, *self.leaders))
        names = sum(leader.intersects_bbox(Bbox(name.reshape(2, 2)), filled=False) for name in self.names)
        crossed = sum(leader.intersects_path(other, filled=False) for other in self.leaders)
        return float(_OVER_LINE * over + _LEADER_OVER_NAME * names + _LEADER_CROSSING * crossed)


def _overlap(boxes: Floats, others: Floats) -> Floats:
    """The area that each of the boxes (n, 4), with a margin, shares with the others (m, 4): (n,)."""
    low = np.maximum(boxes[:, None, :2] - _PAD, others[:, :2])
    high = np.minimum(boxes[:, None, 2:] + _PAD, others[:, 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=2).sum(axis=1))


def _leader(spot: Floats, box: Floats) -> Path:
    """From the point to the nearest place on the name's edge."""
    return Path([spot, np.clip(spot, box[:2], box[2:])])
