"""What a run, a folder of results or outputs made elsewhere say: tables, plots, comparisons."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mubench.api.metric import MetricSpec
from mubench.commands.compare import Comparison, compare_in
from mubench.commands.console import WIDE
from mubench.commands.render import computed, find_results
from mubench.errors import UsageError, unknown
from mubench.planning.rows import Status
from mubench.reporting import formats, results
from mubench.reporting.cells import row_histograms
from mubench.reporting.classes import ClassSummary
from mubench.reporting.histograms import Histograms
from mubench.reporting.manifest import Manifest
from mubench.reporting.plots.shown import Shown, Width
from mubench.reporting.render import Report
from mubench.reporting.report.markup import element, join
from mubench.reporting.summary import Summary
from mubench.reporting.tables import TextCell
from mubench.storage.store import Store, default_store

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLOTS = ("avg_gap", "forget_vs_utility", "cost_vs_gap", "confidence")


@dataclass(frozen=True, repr=False)
class Results:
    """The numbers of a table. In a notebook it shows as the table, printed as the terminal's.

    report: the summary and the printed table. metrics: those it was made with. manifest: what the numbers
    were made of.
    """

    report: Report
    metrics: Mapping[str, MetricSpec]
    histograms: Callable[[], Histograms]
    manifest: Manifest

    @property
    def table(self) -> pd.DataFrame:
        """A line per row: every number of table.csv by its name there, such as ua, ua_std, ua_gap."""
        summary = self.report.summary
        if isinstance(summary, Summary):
            return summary.table.copy()
        return summary.numbers.set_index(["class", "method"])

    @property
    def cells(self) -> pd.DataFrame:
        """A line per row and seed: status, metrics, costs and key, as in cells.csv."""
        return self.report.summary.cells.copy()

    @property
    def failures(self) -> pd.DataFrame:
        """The cells without numbers: method, seed, status and reason."""
        cells = self.report.summary.cells
        shown = [name for name in ("class", "method", "seed", "status", "reason") if name in cells]
        return cells.loc[cells["status"] != Status.OK, shown].reset_index(drop=True)

    def compare(self, first: str, second: str, metric: str | None = None) -> Comparison:
        """Whether the first row is closer to Retrain than the second; `.table` has every metric.

        metric: an Avg. Gap or a metric, by name or title; unless given, the headline Avg. Gap.
        Raises UsageError for what cannot be compared.
        """
        return compare_in(self.report, self.metrics, first, second, metric)

    def plot(self, name: str = "avg_gap", width: Width = "screen") -> Figure:
        """A picture as a matplotlib figure; width: for a "screen", a paper's "page" or its "column".

        name: avg_gap, forget_vs_utility, cost_vs_gap or confidence; where every class is forgotten in
        turn, gap_by_class. Raises UsageError for another name, or if there are no numbers to draw.
        """
        from mubench.reporting.plots import style

        pictures = self._pictures()
        if name not in pictures:
            raise unknown("plot", name, pictures)
        with style.style(width):
            figure = pictures[name]()
        if figure is None:
            raise UsageError(f"plot {name!r} has nothing to show: these results lack the numbers it draws")
        # notebooks show it without pyplot
        setattr(figure, "_repr_png_", lambda: style.encode(figure, "png"))  # noqa: B010
        return figure

    def _pictures(self) -> dict[str, Callable[[], Figure | None]]:
        from mubench.reporting.plots import bars, confidence, heat, scatter

        summary = self.report.summary
        if isinstance(summary, ClassSummary):
            return {"gap_by_class": partial(heat.gap_by_class, summary)}
        draw = (bars.avg_gap, scatter.forget_vs_utility, scatter.cost_vs_gap, confidence.confidence)
        shown = Shown.of(summary, self.histograms())
        return {name: partial(picture, shown) for name, picture in zip(PLOTS, draw, strict=True)}

    def write(self, folder: str | Path, width: Width = "screen") -> list[Path]:
        """Write tables, cells and plots as `mubench run` does; returns the paths."""
        out = Path(folder)
        results.check_writable(out)
        return results.write(self.manifest, self.report, self.histograms(), out, width)

    def __str__(self) -> str:
        """The table with its caption and notes, as the terminal shows it."""
        from rich.console import Console

        text = io.StringIO()
        Console(file=text, width=WIDE, highlight=False).print(formats.terminal(self.report.table))
        return "\n".join(line.rstrip() for line in text.getvalue().splitlines())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The table for a notebook, with its caption, notes and failures below."""
        table = self.report.table
        head = element("tr", *(element("th", name) for name in table.header))
        body = (element("tr", *(_cell(cell) for cell in row)) for row in table.rows)
        notes = [
            *table.notes,
            *(f"{f['method']}: {f['reason']}" for f in self.failures.to_dict("records") if f["reason"]),
        ]
        grid = element("table", element("thead", head), element("tbody", *body))
        lines = (element("li", note) for note in dict.fromkeys(notes))
        caption = element("p", element("em", table.caption))
        return str(join(grid, caption, element("ul", *lines, style="font-size: 85%")))


def _cell(cell: TextCell) -> object:
    return element("td", element("strong", cell.text) if cell.bold else cell.text)


def load_results(folder: str | Path, *, store: str | Path | None = None) -> Results:
    """The results in a folder that `mubench run` or `Results.write` wrote, or those of a suite by its name.

    What the store holds of them is computed anew, the rest is taken from the folder.
    Raises UsageError if there is nothing.
    """
    kept = Store(Path(store) if store is not None else default_store())
    found = find_results(str(folder), kept)
    manifest, report = computed(found.manifest, kept, found.catalogue.metrics, found.folder, found.kept)
    draw = partial(row_histograms, manifest, kept, found.folder)
    return Results(report, found.catalogue.metrics, draw, manifest)
