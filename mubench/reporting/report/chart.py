"""What the pictures share: a sheet, scales with round ticks, and names that do not cover each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mubench.reporting.report.markup import Markup, element

Floats = NDArray[np.float64]
# A position in units of the sheet.
Scale = Callable[[float], float]
# The height of a line, as a share of the font's size.
_LINE = 1.1
SIZE = 12.0


def sheet(width: float, height: float, label: str, *parts: object) -> Markup:
    """A picture that is as wide as its place and never wider than it was drawn."""
    return element(
        "svg",
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:g} {height:g}",
        style=f"max-width:{width:g}px",
        role="img",
        aria_label=label,
    )


def linear(low: float, high: float, start: float, end: float) -> Scale:
    """Maps low to start and high to end; what lies beyond goes to the nearer end."""
    span = (high - low) or 1.0
    return lambda value: start + (end - start) * min(max((value - low) / span, 0.0), 1.0)


def logarithmic(low: float, high: float, start: float, end: float) -> Scale:
    """The same for the logarithms of positive values."""
    inner = linear(math.log(low), math.log(high), start, end)
    return lambda value: inner(math.log(value))


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """At most `most` round numbers from low to high: multiples of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    power = 10.0 ** (math.floor(math.log10((high - low) / most)) - 1)
    for step in (power * k for k in (1, 2, 5, 10, 20, 50, 100, 200)):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            break
    return [k * step for k in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten from low to high; over many powers only these."""
    factors = (1, 2, 5) if high < 300 * low else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [k * 10.0**p for p in powers for k in factors if low <= k * 10.0**p <= high]


def words(x: float, y: float, text: object, anchor: str = "start", **more: object) -> Markup:
    """Text whose first line's base stands at (x, y)."""
    return element("text", text, x=x, y=y, text_anchor=anchor if anchor != "start" else None, **more)


def rule(x: float, y: float, to_x: float, to_y: float, kind: str = "axis") -> Markup:
    """A straight line; kind: its class in the style sheet."""
    return element("line", x1=x, y1=y, x2=to_x, y2=to_y, class_=kind)


def bottom_axis(at: Sequence[float], x: Scale, y: float, left: float, right: float, unit: str = "") -> Markup:
    """A line with ticks and their numbers."""
    marks = [
        rule(x(value), y, x(value), y + 4) + words(x(value), y + 16, f"{value:g}{unit}", "middle")
        for value in at
    ]
    return Markup(rule(left, y, right, y) + "".join(marks))


def left_axis(at: Sequence[float], y: Scale, x: float, top: float, bottom: float) -> Markup:
    """The same, upright."""
    marks = [
        rule(x - 4, y(value), x, y(value)) + words(x - 7, y(value) + 4, f"{value:g}", "end") for value in at
    ]
    return Markup(rule(x, top, x, bottom) + "".join(marks))


def upright(x: float, y: float, text: str) -> Markup:
    """The name of a left axis, read from below."""
    return element("text", text, transform=f"translate({x:g} {y:g}) rotate(-90)", text_anchor="middle")


def length(text: str) -> float:
    """How wide a text is, about: which type a reader has is not known."""
    return SIZE * sum(0.28 if c in "il .,()-" else 0.72 if c.isupper() else 0.56 for c in text)


def place(spots: Floats, texts: Sequence[str], frame: tuple[float, float, float, float]) -> list[Markup]:
    """texts[i] near spots[i] (n, 2): no text on a point, on another or outside the frame, if that can be.

    frame: left, top, right, bottom. The most crowded point chooses first; a name that had to go far has a
    line back to its point.
    """
    apart = np.linalg.norm(spots[:, None] - spots[None], axis=2)
    order = np.argsort(-(1 / (apart + 10)).sum(axis=1).round(9), kind="stable")
    taken = [np.concatenate([spot - 5, spot + 5]) for spot in spots]
    found: dict[int, Markup] = {}
    for i in order:
        half = np.array([length(texts[i]), _LINE * SIZE]) / 2
        middle = _free(spots[i], half, taken, frame)
        taken.append(np.concatenate([middle - half, middle + half]))
        near = np.clip(spots[i], middle - half, middle + half)
        far = float(np.abs(near - spots[i]).max()) > 13
        (x, y), (to_x, to_y) = spots[i].tolist(), near.tolist()
        leader = rule(x, y, to_x, to_y, "leader") if far else ""
        found[int(i)] = Markup(
            leader + words(float(middle[0]), float(middle[1]) + 4, texts[i], "middle", class_="name")
        )
    return [found[i] for i in sorted(found)]


def _free(spot: Floats, half: Floats, taken: list[Floats], frame: tuple[float, ...]) -> Floats:
    """The nearest of a fixed set of places around the spot that covers least."""
    angles = np.deg2rad(np.arange(0, 360, 15))
    ways = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    best, least = spot, math.inf
    others = np.array(taken)
    for radius in (8.0, 11.0, 16.0, 24.0, 34.0, 46.0, 62.0, 82.0, 110.0):
        middles = spot + ways * (radius + half)
        low, high = middles - half - 1, middles + half + 1
        shared = np.minimum(high[:, None], others[:, 2:]) - np.maximum(low[:, None], others[:, :2])
        covered = np.clip(shared, 0, None).prod(axis=2).sum(axis=1)
        beyond = np.concatenate([np.array(frame[:2]) - low, high - np.array(frame[2:])], axis=1)
        costs = radius + covered + 1e3 * np.clip(beyond, 0, None).sum(axis=1)
        for middle, cost in zip(middles, costs, strict=True):
            if cost < least - 1e-9:
                best, least = middle, float(cost)
        if least <= radius + 1e-9:
            break
    return best
