"""Every class forgotten in turn: one table with a block per class, and the mean over the classes.

The cells are those of ordinary class forgetting with the class's name in a column `class` before
them; each block is what that class's own table says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from mubench.planning.suite import MEAN
from mubench.reporting import legend, summary
from mubench.reporting.tables import TITLES, Cell, Table, body

COLUMNS = ("ua", "ra", "ta", "fta", "mia_svc", "avg_gap_svc")


def by_class(cells: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The cells of each class, in table order."""
    for label, group in cells.groupby("class", sort=False):
        yield str(label), group.drop(columns="class")


def per_seed_gaps(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells with their own `avg_gap` and `avg_gap_svc`, against their class's and seed's reference."""
    return _stacked({label: summary.per_seed_gaps(own) for label, own in by_class(cells)})


def summarise(cells: pd.DataFrame) -> pd.DataFrame:
    """The numbers of every block: `class`, then the columns of an ordinary table.csv.

    The last block is the mean over the classes. Its values, their std and its times are those of
    the seeds' means over the classes; its gaps are the means of the classes' gaps, so that
    differences of opposite sign do not cancel. A row that is not ok in every class has no mean.

    Raises ValueError unless exactly one row of each class is the reference.
    """
    blocks = {label: summary.summarise(own) for label, own in by_class(cells)}
    return _stacked({**blocks, MEAN: _mean(cells, pd.concat(blocks))})


def _stacked(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, names=["class"]).reset_index("class").reset_index(drop=True)


def pooled(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells of the mean over the classes: a line per row and seed, ok if it is in every class."""
    numbers = [*summary.shown(cells), "rte"]
    exact = cells.astype(dict.fromkeys(numbers, float)).assign(
        status=cells["status"].map(summary.WORST.index), rte_shared=cells["rte_shared"].eq(True)
    )
    by = exact.groupby(["method", "role", "seed"], sort=False, dropna=False)
    out = by[numbers].mean().where(by[numbers].count().eq(by.size(), axis=0))
    out["status"] = by["status"].min().map(dict(enumerate(summary.WORST)))
    out["rte_shared"] = by["rte_shared"].any()
    out["reason"] = by["reason"].first()
    return out.reset_index()


def _mean(cells: pd.DataFrame, blocks: pd.DataFrame) -> pd.DataFrame:
    out = summary.summarise(pooled(cells)).set_index("method")
    by = blocks.groupby("method", sort=False)
    gaps = [*(f"{m}_gap" for m in summary.shown(cells)), *summary.ATTACKS, "avg_gap_seed_mean"]
    out[gaps] = by[gaps].mean().where(by[gaps].count().eq(by.size(), axis=0))
    seeds = per_seed_gaps(cells).groupby(["method", "seed"], sort=False)["avg_gap"].mean()
    spread = seeds.groupby("method", sort=False).std(ddof=1)
    out["avg_gap_seed_std"] = spread.reindex(out.index).where(out["avg_gap_seed_mean"].notna())
    return out.reset_index()


def build(cells: pd.DataFrame, *, caption: str, notes: Sequence[str] = ()) -> Table:
    """The table of these cells. Raises ValueError unless exactly one row of each class is the reference."""
    numbers, mean = summarise(cells), pooled(cells)
    columns = [c for c in COLUMNS if c in numbers]
    about = {**{label: summary.rows(own) for label, own in by_class(cells)}, MEAN: summary.rows(mean)}
    lines: list[tuple[Cell, ...]] = []
    starts = []
    for label, block in numbers.groupby("class", sort=False):
        starts.append(len(lines))
        own = body(block.drop(columns="class").set_index("method"), about[str(label)], columns)
        names = [Cell(str(label)), *[Cell("")] * (len(own) - 1)]
        lines += [(name, *line) for name, line in zip(names, own, strict=True)]
    header = ("Class", "Method", *(TITLES[c] for c in columns))
    said = (*_legend(cells, mean), *notes)
    return Table(header, tuple(lines), caption, said, labels=2, blocks=tuple(starts))


def _legend(cells: pd.DataFrame, mean: pd.DataFrame) -> list[str]:
    about, name = summary.rows(mean), summary.reference(mean)
    ok = about[about["status"] == "ok"]
    lines = []
    if name in ok.index:
        lines = [
            legend.cell(ok, name),
            legend.bold(ok, name, "its class and column"),
            f"Avg. Gap (SVC): mean of the absolute differences from {name} in UA, RA, TA and MIA-SVC, from "
            "unrounded means over the seeds.",
            "TA: on test images of the remaining classes; Forgotten TA: on those of the forgotten class.",
            f"{MEAN}: over the classes, seed by seed; a gap there is the mean of the classes' gaps.",
        ]
        lines += [
            f"Noise floor: {row} is a second, independent {name}; gaps like its own are noise."
            for row in ok.index[ok["role"] == "floor"]
        ]
    return [*lines, *_without_numbers(cells)]


def _without_numbers(cells: pd.DataFrame) -> list[str]:
    """Why rows have no numbers, once for all the classes in which that is the same."""
    where: dict[tuple[str, str, str], list[str]] = {}
    for label, own in by_class(cells):
        about = summary.rows(own)
        for row, line in about[about["status"] != "ok"].iterrows():
            where.setdefault((str(row), line["status"], line["reason"]), []).append(label)
    count = cells["class"].nunique()
    lines = []
    for (row, status, reason), labels in where.items():
        some = f" ({', '.join(labels)})" if len(labels) < count else ""
        lines.append(legend.one_line(f"{row}{some}: {status}. {reason}"))
    return lines
