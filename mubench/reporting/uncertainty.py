"""How sure the numbers of a table are: errors of means, intervals of Avg. Gaps, attacks at chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mubench.reporting.columns import Columns
from mubench.reporting.intervals import Interval, gap_interval
from mubench.reporting.statistics import FEWEST_SEEDS
from mubench.reporting.target import Targets

_UNKNOWN = Interval(math.nan, math.nan, math.nan)


def standard_errors(whole: pd.DataFrame, std: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """The standard error of each row's mean over the seeds, a column per metric, in its unit.

    whole: the cells of rows that are ok at every seed. std: that over the seeds, by row. A metric may give
    its own as the diagnostic `se`, where the seeds share something that their spread does not show; one that
    is computed for all seeds at once has none without it. All others: std / sqrt(seeds).
    """
    root = whole.groupby("method", sort=False).size().reindex(std.index) ** 0.5
    out = pd.DataFrame(index=std.index)
    for name in columns.names:
        spread = math.nan if name in columns.pooled else std[name] / root
        out[name] = _mean_of(whole, f"{name}_se", std.index).fillna(spread)
    return out


def fit_variances(numbers: pd.DataFrame, seeds: pd.Series[int], columns: Columns) -> pd.DataFrame:
    """What the error of each row's mean has beyond the spread of its seeds, as a variance, by metric.

    It is that of a fit which the seeds share, independent of other rows. numbers: `<m>_se` and `<m>_std`.
    NaN where the error is not known; 0 for metrics that are computed seed by seed, and with too few seeds.
    """
    out = pd.DataFrame(0.0, index=numbers.index, columns=list(columns.names))
    for name in columns.pooled:
        fit = numbers[f"{name}_se"] ** 2 - numbers[f"{name}_std"] ** 2 / seeds
        out[name] = fit.clip(lower=0.0).where(seeds >= FEWEST_SEEDS, 0.0)
    return out


def gap_fits(fits: Sequence[pd.DataFrame], names: Sequence[str]) -> dict[str, float]:
    """Of each row, the variance that `fit_variances` of these metrics, block by block, adds to its gap."""
    count = len(fits) * len(names)
    parts = [frame[[n for n in names if n in frame]].sum(axis=1, skipna=False) for frame in fits]
    return {str(row): float(sum(part[row] for part in parts)) / count**2 for row in parts[0].index}


def intervals(
    whole: pd.DataFrame, fits: pd.DataFrame, columns: Columns, targets: Targets
) -> Mapping[str, list[Interval]]:
    """The interval of every Avg. Gap, in the order of the rows; see `gap_interval`.

    The differences are those of `Targets`, seed by seed. fits: see `fit_variances`.
    """
    names = list(columns.names)
    by_seed = {
        str(row): group.set_index("seed")[names].astype(float)
        for row, group in whole.groupby("method", sort=False)
    }
    found: dict[str, list[Interval]] = {gap.name: [] for gap in columns.gaps}
    for row in map(str, fits.index):
        chosen = targets.of(row)
        known = row in by_seed and chosen != [row] and by_seed.keys() >= set(chosen)
        if known:
            aims = [by_seed[name].reindex(by_seed[row].index).to_numpy() for name in chosen]
            apart = by_seed[row].to_numpy() - np.mean(aims, axis=0)
            added = fits.loc[row].to_numpy() + fits.loc[chosen].to_numpy().mean(axis=0) / len(chosen)
        for gap in columns.gaps:
            at = [names.index(name) for name in gap.metrics]
            found[gap.name].append(_interval(apart[:, at], added[at]) if known else _UNKNOWN)
    return found


def _interval(apart: NDArray[np.float64], added: NDArray[np.float64]) -> Interval:
    """apart: (n, k) differences. added: (k,) the variances of their means that their spread does not show."""
    if len(apart) < FEWEST_SEEDS or not (np.isfinite(apart).all() and np.isfinite(added).all()):
        return _UNKNOWN
    errors = np.sqrt(apart.var(axis=0, ddof=1) / len(apart) + added)
    return gap_interval(apart, {i: float(error) for i, error in enumerate(errors) if added[i] > 0})


def at_chance(whole: pd.DataFrame, attack: str, rows: pd.Index[str]) -> pd.Series[float]:
    """1 for rows whose attack is not above 50 % by two standard errors, on shadows held out; else 0.

    NaN where an attack does not tell its `balanced_accuracy` and `balanced_accuracy_se`. Over seeds that
    are fitted one by one both are averaged: the images of the seeds are in part the same.
    """
    accuracy, error = (_mean_of(whole, f"{attack}_balanced_accuracy{end}", rows) for end in ("", "_se"))
    return (accuracy <= 50.0 + 2.0 * error).astype(float).where(accuracy.notna() & error.notna())


def _mean_of(cells: pd.DataFrame, name: str, rows: pd.Index[str]) -> pd.Series[float]:
    """A diagnostic's mean over the seeds, by row; NaN where a seed has none."""
    if name not in cells:
        return pd.Series(math.nan, index=rows)
    groups = cells[name].astype(float).groupby(cells["method"], sort=False)
    return groups.mean().where(groups.count() == groups.size()).reindex(rows)
