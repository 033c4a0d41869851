"""Cells as the harness hands them over, small enough to check by hand or as many as a table holds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from mubench.reporting.histograms import Histogram

NUMBERS = ["ua", "ra", "ta", "mia", "mia_svc"]


def cell(method, role, seed, values, *, rte=10.0, status="ok", reason="", shared=False, **more):
    numbers = dict(zip(NUMBERS, values if status == "ok" else [np.nan] * 5, strict=True))
    time = rte if status == "ok" else np.nan
    about = {"method": method, "role": role, "seed": seed, "status": status, "reason": reason}
    return about | numbers | {"rte": time, "rte_shared": shared} | more


def wide(seeds: int = 3, *, draw: int = 0, spread: float = 1.0) -> pd.DataFrame:
    """Sixteen rows with long names; one method far astray, one seed of another FAILED, one row skipped."""
    rng = np.random.default_rng(draw)
    names = [
        "FT",
        "RL",
        "GA",
        "IU",
        "BE",
        "BS",
        "l1-sparse",
        "SalUn",
        "CL",
        "WS-CL",
        "WSS-CL",
        "WSS-CL literal",
    ]
    roles = {"Retrain": "reference", "Original": "baseline", "Retrain (again)": "floor"}
    cells = []
    for name in [*roles, *names]:
        off = rng.normal(0, [2, 0.4, 1, 4, 3]) * (0.1 if name == "Retrain (again)" else spread)
        off = np.array([85, -50, -49, 30, 30]) if name == "GA" else off * (name != "Retrain")
        time = {"Retrain": 2597.0, "Original": 0.0, "Retrain (again)": 2590.0}.get(name, rng.uniform(10, 300))
        for seed in range(seeds):
            values = np.clip(np.array([5.4, 99.5, 94.1, 12.9, 9.9]) + off + rng.normal(0, 0.3, 5), 0, 100)
            died = name == "BE" and seed == seeds - 1
            state = {"status": "FAILED", "reason": "OutOfMemoryError: 2 GiB"} if died else {}
            cells.append(cell(name, roles.get(name, "method"), seed, values, rte=time, **state))
    cells.append(cell("SISA", "method", np.nan, [], status="skipped", reason="needs its own original"))
    return pd.DataFrame(cells)


@pytest.fixture
def make() -> Callable[..., dict]:
    """One cell."""
    return cell


@pytest.fixture
def sixteen() -> Callable[..., pd.DataFrame]:
    """The whole table of sixteen rows."""
    return wide


@pytest.fixture
def published() -> pd.DataFrame:
    """Retrain, SalUn and WSS-CL as printed in the published table (10 %, CIFAR-10)."""
    return pd.DataFrame(
        [
            cell("Retrain", "reference", 0, [5.4, 100.0, 94.08, 12.88, 12.88], rte=2597.0),
            cell("SalUn", "method", 0, [4.18, 99.13, 93.17, 18.69, 12.88], rte=160.0),
            cell("WSS-CL", "method", 0, [4.51, 99.39, 93.32, 16.8, 0.88], rte=175.0),
        ]
    )


@pytest.fixture
def scores() -> Callable[[pd.DataFrame], dict]:
    """Histograms of log-odds for every row of some cells."""

    def of(cells: pd.DataFrame) -> dict[str, dict[str, Histogram]]:
        rng = np.random.default_rng(0)
        at = {"forget": (6, 3, 300), "retain": (10, 2, 900), "test": (6, 4, 300)}
        return {
            str(m): {s: Histogram.of(rng.normal(*a)) for s, a in at.items()} for m in cells["method"].unique()
        }

    return of


@pytest.fixture
def drawn_texts(monkeypatch):
    """`drawn_texts(figure)`: (text, box in pixels) of every text that drawing really puts on the figure."""

    def of(figure):
        found = []
        draw = Text.draw

        def spy(self, renderer, *args, **kwargs):
            if self.get_text().strip() and self.get_visible():
                found.append((self.get_text(), Text.get_window_extent(self, renderer)))
            return draw(self, renderer, *args, **kwargs)

        figure.draw_without_rendering()  # the layout settles before it is looked at
        with monkeypatch.context() as patch:
            patch.setattr(Text, "draw", spy)
            figure.canvas.draw()
        return found

    return of
