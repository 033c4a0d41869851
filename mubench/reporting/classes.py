"""Every class forgotten in turn: one table with a block per class, and the mean over the classes.

The cells are those of ordinary class forgetting with the class's name in a column `class` before
them; each block is what that class's own table says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from mubench.planning.suite import MEAN
from mubench.reporting import legend
from mubench.reporting.columns import Columns, installed
from mubench.reporting.ranking import rank_texts
from mubench.reporting.summary import WORST, Summary, shown_columns, summarise
from mubench.reporting.tables import Look, Table, TextCell, body, is_ranked, titles_of
from mubench.reporting.target import side_by_side, signed
from mubench.reporting.uncertainty import fit_variances, gap_fits


@dataclass(frozen=True)
class ClassSummary:
    """The summary of each class by its name, in table order, and that of the mean over the classes."""

    blocks: Mapping[str, Summary]
    mean: Summary

    @property
    def cells(self) -> pd.DataFrame:
        """The cells of all classes with their Avg. Gaps, and the class's name in front."""
        return _stacked({label: block.cells for label, block in self.blocks.items()})

    @property
    def numbers(self) -> pd.DataFrame:
        """The numbers that the table prints, the mean last: `class`, `method`, then those of a summary."""
        blocks = {**self.blocks, MEAN: self.mean}
        return _stacked({label: block.table.reset_index() for label, block in blocks.items()})


def summarise_classes(cells: pd.DataFrame, columns: Columns | None = None) -> ClassSummary:
    """The summaries of cells with a column `class`.

    The mean's values, their std and its times are those of the seeds' means over the classes; its gaps
    are the means of the classes' gaps, so that differences of opposite sign do not cancel, and have no
    interval. A row that is not ok in every class has no mean.

    Raises ValueError unless exactly one row of each class is the reference.
    """
    shown = shown_columns(cells, columns or installed())
    blocks = {
        str(label): summarise(group.drop(columns="class"), shown)
        for label, group in cells.groupby("class", sort=False)
    }
    return ClassSummary(blocks, _mean(cells, shown, blocks))


def _stacked(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, names=["class"]).reset_index("class").reset_index(drop=True)


def _pooled(cells: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """Cells of the mean over the classes: a line per row and seed, ok if it is in every class."""
    numbers = [*columns.names, "rte", *(["changed"] if "changed" in cells else [])]
    exact = cells.astype(dict.fromkeys(numbers, float)).assign(
        status=cells["status"].map(WORST.index), rte_shared=cells["rte_shared"].eq(True)
    )
    own = ["target"] if "target" in cells else []
    by = exact.groupby(["method", "role", *own, "seed"], sort=False, dropna=False)
    out = by[numbers].mean().where(by[numbers].count().eq(by.size(), axis=0))
    out["status"] = by["status"].min().map(dict(enumerate(WORST)))
    out["rte_shared"] = by["rte_shared"].any()
    out["reason"] = by["reason"].first()
    return out.reset_index()


def _mean(cells: pd.DataFrame, columns: Columns, blocks: Mapping[str, Summary]) -> Summary:
    mean = summarise(_pooled(cells, columns), columns)
    names = [f"{m}_gap" for m in mean.columns.names] + [gap.name for gap in mean.columns.gaps]
    by = pd.concat([block.numbers for block in blocks.values()]).groupby("method", sort=False)
    out = mean.numbers.copy()
    names += [f"{gap.name}_seed_mean" for gap in mean.columns.gaps[:1]]
    out[names] = by[names].mean().where(by[names].count().eq(by.size(), axis=0))
    # The classes share seeds and test images: what their joint error is, nothing here can tell.
    out[[f"{gap.name}{end}" for gap in mean.columns.gaps for end in ("_low", "_high")]] = math.nan
    for gap in mean.columns.gaps[:1]:
        every = pd.concat([block.cells for block in blocks.values()])
        seeds = every.groupby(["method", "seed"], sort=False)[gap.name].mean()
        spread = seeds.groupby("method", sort=False).std(ddof=1).reindex(out.index)
        out[f"{gap.name}_seed_std"] = spread.where(out[f"{gap.name}_seed_mean"].notna())
        apart = side_by_side([signed(b.cells, gap.metrics, b.targets) for b in blocks.values()])
        competing = out.index[mean.rows["competes"] & out[gap.name].notna()]
        fits = [fit_variances(b.numbers, b.rows["seeds"], columns) for b in blocks.values()]
        ranks = rank_texts({row: apart[row] for row in competing}, gap_fits(fits, gap.metrics))
        out["rank"] = pd.Series(ranks, out.index, dtype=object)
    return replace(mean, numbers=out)


def build(
    summary: ClassSummary, *, caption: str, notes: Sequence[str] = (), look: Look | None = None
) -> Table:
    """The table of all blocks; notes: the lines below the legend.

    Of the attacks it shows the headline one alone, as the published tables by class do.
    """
    look, columns = look or Look(), summary.mean.columns
    headlines = [columns.headline] if columns.gaps else []
    attacks = [gap.attack for gap in headlines]
    names = [c.name for c in columns.metrics if c.gap != "attack" or c.name in attacks]
    ranked = ["rank"] if is_ranked(summary.mean) else []
    names = look.names(columns, [*names, *(gap.name for gap in headlines), *ranked])
    lines: list[tuple[TextCell, ...]] = []
    starts = []
    for label, block in {**summary.blocks, MEAN: summary.mean}.items():
        starts.append(len(lines))
        rows = body(block, names, look)
        first = [TextCell(label), *[TextCell("")] * (len(rows) - 1)]
        lines += [(name, *row) for name, row in zip(first, rows, strict=True)]
    titles = titles_of(columns)
    header = ("Class", "Method", *(titles[name] for name in names))
    below = (*_legend(summary, names, look), *notes)
    return Table(header, tuple(lines), caption, below, labels=2, blocks=tuple(starts))


def _legend(summary: ClassSummary, names: Sequence[str], look: Look) -> list[str]:
    mean, name = summary.mean, summary.mean.reference
    lines = []
    if name in mean.ok.index:
        lines = [
            legend.cell(mean, look.compact or look.brief, look.brief),
            *legend.ranks(mean, names),
            *legend.own(mean, names),
            *legend.avg_gaps(mean, [g for g in mean.columns.gaps if g.name in names]),
            *_first([[] if look.compact else legend.between(b, names) for b in summary.blocks.values()]),
            *_first([legend.at_chance(block, names) for block in summary.blocks.values()]),
        ]
        if "fta" in names:
            lines.append(
                "TA: on test images of the remaining classes; Forgotten TA: on those of the forgotten class."
            )
        lines.append(f"{MEAN}: over the classes, seed by seed; a gap there is the mean of the classes' gaps.")
        lines += [
            f"Noise floor: {row} is a further, independent {name}; gaps like its own are noise."
            for row in mean.retrains[1:]
        ]
    return [*lines, *legend.merged(summary.cells), *legend.idle(mean), *_without_numbers(summary)]


def _first(found: Sequence[list[str]]) -> list[str]:
    """What the first class that has anything to say says."""
    return next(filter(None, found), [])


def _without_numbers(summary: ClassSummary) -> list[str]:
    """Why rows have no numbers, once for all the classes in which that is the same."""
    where: dict[tuple[str, str, str], list[str]] = {}
    for label, block in summary.blocks.items():
        for row, line in legend.without_numbers(block).iterrows():
            where.setdefault((str(row), line["status"], line["reason"]), []).append(label)
    lines = []
    for (row, status, reason), labels in where.items():
        some = f" ({', '.join(labels)})" if len(labels) < len(summary.blocks) else ""
        lines.append(legend.clipped(f"{row}{some}: {status}. {reason}"))
    return lines
