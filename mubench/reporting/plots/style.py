"""How every picture looks, and how a figure becomes the same bytes each time."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
from matplotlib import style as sheets
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mubench.reporting.plots.shown import Width

# Okabe and Ito (2008): told apart with any colour vision.
BLUE, SKY, GREEN, ORANGE, VERMILLION = "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00"
ROLES = {"reference": "#000000", "baseline": "#6E6E6E", "floor": "#B4B4B4", "method": BLUE}
BAND: dict[str, Any] = {"color": ORANGE, "alpha": 0.18, "linewidth": 0}

DPI = 160
ENDINGS = ("png", "svg", "pdf")
# Inches and points: letters in a paper are a little smaller than its text.
_WIDTHS: dict[Width, tuple[float, float]] = {"screen": (8.0, 10), "page": (6.75, 8), "column": (3.25, 7)}
_STYLE = {
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
    # A method may be called anything, also $5_a.
    "text.parse_math": False,
    # Glyphs as outlines look the same everywhere; the salt makes their ids the same every time.
    "svg.fonttype": "path",
    "svg.hashsalt": "mubench",
    # Letters that a publisher's checks accept.
    "pdf.fonttype": 42,
}


_NO_DATE = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


@contextmanager
def style(width: Width = "screen") -> Iterator[None]:
    """matplotlib's defaults with our changes, whatever the user's own settings are."""
    wide, points = _WIDTHS[width]
    size = {"figure.figsize": (wide, wide), "font.size": points}
    with mpl.rc_context(), sheets.context(["default", _STYLE | size]):
        yield


def figure(height: float, *, layout: Literal["constrained"] | None = None) -> Figure:
    """An empty figure as wide as `style` was asked for, with a canvas of its own and no pyplot.

    height: in inches where letters are 10 points high; with smaller letters it is lower.
    """
    drawn = Figure(figsize=(inches(), height * scale()), layout=layout)
    FigureCanvasAgg(drawn)
    return drawn


def inches() -> float:
    """How wide figures are."""
    return float(mpl.rcParams["figure.figsize"][0])


def ncols(page: int, column: int) -> int:
    """How many things stand side by side: as many as on a page, or as in a column of one."""
    return page if inches() > 5 else column


def scale() -> float:
    """How large letters are, beside those of 10 points for which heights and margins are given."""
    return float(mpl.rcParams["font.size"]) / 10


def wrapped(text: str, width: float) -> str:
    """The text in lines no longer than `width` inches; a letter is about half as wide as it is high."""
    most = int(width * 72 / (0.52 * mpl.rcParams["font.size"]))
    return "\n".join(part for line in text.split("\n") for part in textwrap.wrap(line, most))


def encode(drawn: Figure, ending: str) -> bytes:
    """The figure as one of `ENDINGS`: equal figures give equal bytes (no date is written)."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, format=ending, metadata=_NO_DATE.get(ending))
    return buffer.getvalue()


def encoded(drawn: Figure, name: str) -> dict[str, bytes]:
    """The figure's files, `name` with each of `ENDINGS`; what has a layout is laid out once for all."""
    if drawn.get_layout_engine() is not None:
        drawn.draw_without_rendering()
        drawn.set_layout_engine(None)
    return {f"{name}.{ending}": encode(drawn, ending) for ending in ENDINGS}
