"""What rows are compared with: Retrain or, where there are enough of them, the mean of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from mubench.planning.rows import Status
from mubench.reporting.gap import ENOUGH


def compared_with(row: str, retrains: Sequence[str]) -> list[str]:
    """The Retrains with whose mean a row is compared: the first alone or, if there are enough, all others."""
    return [name for name in retrains if name != row] if len(retrains) >= ENOUGH else list(retrains[:1])


def aims(means: pd.DataFrame, retrains: Sequence[str]) -> pd.DataFrame:
    """What each row's means are compared with: those of the first Retrain, or the mean of all if enough.

    One of these Retrains is compared with the mean of the others: its own noise is in the mean of all.
    """
    targets = [tuple(compared_with(str(row), retrains)) for row in means.index]
    of = {some: means.loc[list(some)].mean(skipna=False) for some in dict.fromkeys(targets)}
    return pd.DataFrame([of[some] for some in targets], index=means.index)


def signed(cells: pd.DataFrame, names: Sequence[str], retrains: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Row -> its signed differences from what it is compared with, a line per seed, a column per name.

    In the units of these columns of the cells. Seeds at which a number or a Retrain is missing are left out.
    """
    parts = {}
    for seed, group in cells[cells["status"] == Status.OK].groupby("seed"):
        values = group.set_index("method")[list(names)].astype(float)
        if set(retrains) <= set(values.index):
            parts[seed] = values - aims(values, retrains)
    if not parts:
        return {}
    every = pd.concat(parts, names=["seed"]).dropna()
    return {str(row): of.droplevel("method") for row, of in every.groupby(level="method", sort=False)}


def side_by_side(blocks: Sequence[Mapping[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """The rows that all blocks have, at the seeds that all have, with the columns of all in one frame."""
    first, *others = blocks
    rows = [row for row in first if all(row in other for other in others)]
    return {row: pd.concat([block[row] for block in blocks], axis=1, join="inner") for row in rows}
