"""Where forget and retain lie in each model's feature space, seen from Retrain's two widest directions.

Models that were trained apart have the same space only up to a rotation. Each cloud is therefore first
turned (and mirrored) so that it comes closest to the reference's features of the same images: orthogonal
Procrustes, which keeps all distances. Then all are projected on the first two principal components of the
reference. Schönemann, "A generalized solution of the orthogonal Procrustes problem" (1966).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mubench.api.outputs import Outputs
from mubench.reporting.report.chart import Floats, sheet
from mubench.reporting.report.markup import Markup, element, title

PARTS = ("forget", "retain")
_SIZE, _MARGIN, _EDGE = 1000, 30, 12
_COLOURS = 10


@dataclass(frozen=True)
class Cloud:
    """points: (n, 2), forget first. spread: root mean square distance from the centre, as a multiple of the
    reference's. shown: the share of the variance that lies in the two directions, as a fraction of 1."""

    points: Floats
    spread: float
    shown: float


@dataclass(frozen=True)
class Clouds:
    """The clouds of one seed by row; labels (n,) and how many of the n images are to be forgotten."""

    seed: int
    forget: int
    labels: NDArray[np.int64]
    by_row: Mapping[str, Cloud]


def clouds(seed: int, outputs: Mapping[str, Outputs], reference: str) -> Clouds | None:
    """The clouds of the rows that have features of the same images as the reference; None if it has none."""
    target = _stacked(outputs[reference])
    if target is None or len(target) < 3:
        return None
    centred = target - target.mean(axis=0)
    axes = directions(centred)
    size = float((centred**2).sum()) or 1.0
    if len(centred) < centred.shape[1]:  # n points span no more than n directions: in those, all is quicker
        spanned, inside = np.linalg.qr(centred.T)
        aim, plane = inside.T, spanned.T @ axes
    else:
        aim, plane = centred, axes
    found = {}
    for name, row in outputs.items():
        own = _stacked(row)
        if own is None or len(own) != len(target):
            continue
        mine = own - own.mean(axis=0)
        total = float((mine**2).sum())
        points = mine @ axes if name == reference else turned(mine, aim) @ plane
        shown = float((points**2).sum()) / total if total else 0.0
        found[name] = Cloud(points, (total / size) ** 0.5, shown)
    features = {part: outputs[reference].features[part] for part in PARTS}
    labels = np.concatenate([outputs[reference].labels[part][: len(f)] for part, f in features.items()])
    return Clouds(seed, len(features["forget"]), labels, found)


def _stacked(outputs: Outputs) -> Floats | None:
    if not set(PARTS) <= set(outputs.features):
        return None
    return np.concatenate([outputs.features[part] for part in PARTS]).astype(np.float64)


def directions(centred: Floats) -> Floats:
    """The first two principal directions (d, 2) of centred points (n, d >= 2).

    Of the two signs of each, the one with which its largest entry is positive.
    """
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2].T
    if axes.shape[1] < 2:
        axes = np.pad(axes, ((0, 0), (0, 2 - axes.shape[1])))
    largest = np.abs(axes).argmax(axis=0)
    signs = np.sign(axes[largest, [0, 1]])
    return np.asarray(axes * np.where(signs == 0, 1.0, signs))


def turned(points: Floats, target: Floats) -> Floats:
    """Centred points (n, d) turned and mirrored to come closest to the target (n, e)."""
    if len(points) < points.shape[1]:
        points = np.asarray(np.linalg.qr(points.T, mode="r")).T
    left, _, right = np.linalg.svd(points.T @ target, full_matrices=False)
    return np.asarray(points @ left @ right)


def figure(name: str, of: Clouds) -> Markup:
    """A cloud: a dot per image, in the colour of its class; retain pale, forget dark and ringed."""
    cloud = of.by_row[name]
    radius = float(np.quantile(np.abs(cloud.points), 0.995)) or 1.0
    scale = (_SIZE / 2 - _MARGIN) / radius
    spots = np.clip(np.rint(_SIZE / 2 + scale * cloud.points * [1, -1]), _EDGE, _SIZE - _EDGE).astype(int)
    forget = np.arange(len(spots)) < of.forget
    parts = []
    for part, chosen in (("retain", ~forget), ("forget", forget)):
        for k in range(_COLOURS):
            dots = spots[chosen & (of.labels % _COLOURS == k)]
            if len(dots):
                path = "".join(f"M{a} {b}h0" for a, b in dots)
                parts.append(element("path", d=path, class_=f"dots {part} c{k}"))
    told = (
        f"{name}: {of.forget} forget and {len(spots) - of.forget} retain images; "
        f"{100 * cloud.shown:.0f} % of the variance is in this plane; "
        f"spread {cloud.spread:.2f} times the reference's"
    )
    hit = element("rect", title(told), width=_SIZE, height=_SIZE, class_="hit")
    return sheet(_SIZE, _SIZE, told, *parts, hit)
