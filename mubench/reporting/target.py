"""What rows are compared with: Retrain or, where there are enough of them, the mean of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mubench.planning.rows import Status
from mubench.reporting.gap import ENOUGH


@dataclass(frozen=True)
class Targets:
    """What the rows are compared with.

    retrains: the reference and the further Retrains. own: row -> the row of its own Retrain, for methods
    whose original is of another kind.
    """

    retrains: tuple[str, ...]
    own: Mapping[str, str] = field(default_factory=dict)

    def of(self, row: str) -> list[str]:
        """The Retrains with whose mean it is compared: the first alone, or if there are enough all others."""
        if row in self.own:
            return [self.own[row]]
        if len(self.retrains) < ENOUGH:
            return list(self.retrains[:1])
        return [name for name in self.retrains if name != row]


def _aimed(values: NDArray[np.float64], rows: pd.Index[str], targets: Targets) -> NDArray[np.float64]:
    """What each of the values (..., rows, k) is compared with; NaN where that is missing."""
    aimed = np.full_like(values, np.nan)
    for i, name in enumerate(rows):
        of = rows.get_indexer(pd.Index(targets.of(str(name))))
        if (of >= 0).all():
            aimed[..., i, :] = values[..., of, :].mean(axis=-2)
    return aimed


def aims(means: pd.DataFrame, targets: Targets) -> pd.DataFrame:
    """What each row's means are compared with: those of the first Retrain, or the mean of all if enough.

    One of these Retrains is compared with the mean of the others: its own noise is in the mean of all.
    """
    return pd.DataFrame(_aimed(means.to_numpy(float), means.index, targets), means.index, means.columns)


def differences(cells: pd.DataFrame, names: Sequence[str], targets: Targets) -> pd.DataFrame:
    """Each cell's signed differences from what it is compared with: their index, a column per name.

    In the units of these columns of the cells. Of cells that are ok, at the seeds at which all Retrains are;
    NaN where a number is missing.
    """
    ok = cells[cells["status"] == Status.OK]
    seed, seeds = pd.factorize(ok["seed"])
    row, rows = pd.factorize(ok["method"])
    retrains = rows.get_indexer(pd.Index(targets.retrains))
    if (retrains < 0).any():
        return pd.DataFrame(index=ok.index[:0], columns=list(names), dtype=float)
    values = np.full((len(seeds), len(rows), len(names)), np.nan)
    there = np.zeros((len(seeds), len(rows)), bool)
    values[seed, row], there[seed, row] = ok[list(names)].astype(float), True
    apart = values - _aimed(values, rows, targets)
    whole = np.all(there[:, retrains], axis=1)[seed]
    return pd.DataFrame(apart[seed, row][whole], ok.index[whole], list(names))


def signed(cells: pd.DataFrame, names: Sequence[str], targets: Targets) -> dict[str, pd.DataFrame]:
    """Row -> its signed differences from what it is compared with, a line per seed, a column per name.

    See `differences`. Seeds at which a number or a Retrain is missing are left out.
    """
    every = differences(cells, names, targets).dropna()
    of_row = every.groupby(cells["method"].reindex(every.index), sort=False)
    return {str(row): of.set_axis(cells["seed"].reindex(of.index)).sort_index() for row, of in of_row}


def side_by_side(blocks: Sequence[Mapping[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """The rows that all blocks have, at the seeds that all have, with the columns of all in one frame."""
    first, *others = blocks
    rows = [row for row in first if all(row in other for other in others)]
    return {row: pd.concat([block[row] for block in blocks], axis=1, join="inner") for row in rows}
