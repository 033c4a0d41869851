"""How every picture looks, and how a figure becomes the same bytes each time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib import style as sheets
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

# Okabe and Ito (2008): told apart with any colour vision.
BLUE, SKY, GREEN, ORANGE, VERMILLION = "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00"
ROLES = {"reference": "#000000", "baseline": "#6E6E6E", "floor": "#B4B4B4", "method": BLUE}
BAND: dict[str, Any] = {"color": ORANGE, "alpha": 0.18, "linewidth": 0}

DPI = 160
WIDTH = 8.0
_STYLE = {
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
    # A method may be called anything, also $5_a.
    "text.parse_math": False,
    # Glyphs as outlines look the same everywhere; the salt makes their ids the same every time.
    "svg.fonttype": "path",
    "svg.hashsalt": "mubench",
}


@contextmanager
def style() -> Iterator[None]:
    """matplotlib's defaults with our changes, whatever the user's own settings are."""
    with mpl.rc_context(), sheets.context(["default", _STYLE]):
        yield


def figure(height: float, *, layout: Literal["constrained"] | None = None) -> Figure:
    """An empty figure as wide as a page (8 inches), with a canvas of its own and no pyplot."""
    drawn = Figure(figsize=(WIDTH, height), layout=layout)
    FigureCanvasAgg(drawn)
    return drawn


def encode(drawn: Figure, ending: str) -> bytes:
    """The figure as "png" or "svg": equal figures give equal bytes (no date is written)."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, format=ending, metadata={"Date": None} if ending == "svg" else None)
    return buffer.getvalue()


def within(values: NDArray[np.float64], centre: float) -> NDArray[np.bool_]:
    """Which values can share a linear axis: no further from the centre than six times what is usual.

    One method gone astray must not press all the others into a corner; it is shown at the edge
    with its value in words. Up to 5 points nothing is astray.
    """
    distance = np.abs(values - centre)
    return distance <= max(6 * float(np.median(distance)), 5.0)
