"""Is a row's difference from Retrain real? Every metric, row by row, at the margin that a suite declares.

What is made here is differences.csv: a line per row and metric, with the class in front where every class
is forgotten in turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mubench.planning.rows import Status
from mubench.reporting.classes import ClassSummary
from mubench.reporting.statistics import FEWEST_SEEDS, LEVEL, Paired, holm, paired_rows, smallest_p
from mubench.reporting.summary import Summary
from mubench.reporting.uncertainty import fit_variances

_COLUMNS = (
    *("method", "role", "metric", "seeds", "difference", "low", "high"),
    *("p", "p_holm", "p_equivalent", "p_equivalent_holm", "verdict"),
)
# A row's values, those that it is compared with, and the variance that their spread does not show.
_Pair = tuple[list[float], list[float], float]


def differences(summary: Summary | ClassSummary, margin: float) -> pd.DataFrame:
    """What `_COLUMNS` names, for each metric that Retrain's value is the target of and each row but Retrain.

    difference: signed, method - Retrain (from three Retrains on, their mean), in points, the mean over the
    seeds that both share; low, high: its 95 % t interval. p, p_equivalent: as in `Paired`, and adjusted by
    Holm for the rows of the table (or class), metric by metric. verdict: see `verdict`. Rows without numbers
    are left out, and all of them where Retrain has none; so are metrics that are computed for all seeds at
    once and do not tell their error.
    """
    if isinstance(summary, Summary):
        return _of_table(summary, margin)
    blocks = {label: _of_table(block, margin) for label, block in summary.blocks.items()}
    return pd.concat(blocks, names=["class"]).reset_index("class").reset_index(drop=True)


def _of_table(summary: Summary, margin: float) -> pd.DataFrame:
    names = [c.name for c in summary.columns.metrics if c.better == "reference"]
    ok = summary.cells[summary.cells["status"] == Status.OK].astype(dict.fromkeys(names, float))
    by_seed = {row: group.set_index("seed")[names] for row, group in ok.groupby("method", sort=False)}
    rows = [str(row) for row in summary.ok.index]
    fits = fit_variances(summary.numbers, summary.rows["seeds"], summary.columns)
    pairs: dict[str, dict[str, _Pair]] = {name: {} for name in names}
    aims: dict[tuple[str, ...], pd.DataFrame] = {}
    for row in rows if summary.reference in rows else ():
        targets = summary.targets.of(row)
        if summary.rows.loc[row, "role"] == "aside" or not by_seed.keys() >= {*targets} or [row] == targets:
            continue
        if (*targets,) not in aims:
            aims[*targets,] = _mean([by_seed[name] for name in targets])
        values = by_seed[row]
        aim = aims[*targets,].reindex(values.index)
        fit = fits.loc[row] + fits.loc[targets].mean() / len(targets)
        known = (values - aim).notna().all() & np.isfinite(fit[names])
        for name in known.index[known]:
            pairs[name][row] = values[name].to_list(), aim[name].to_list(), float(fit[name])
    lines = []
    for name, of_rows in pairs.items():
        found = dict(zip(of_rows, paired_rows([*of_rows.values()], margin), strict=True))
        lines += _lines(summary, name, found)
    return pd.DataFrame(lines, columns=list(_COLUMNS))


def _mean(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Seed by seed, the mean of frames with the same columns."""
    columns = {c: pd.concat([frame[c] for frame in frames], axis=1).mean(axis=1) for c in frames[0]}
    return pd.DataFrame(columns)


def _lines(summary: Summary, metric: str, found: Mapping[str, Paired]) -> list[dict[str, object]]:
    different = dict(zip(found, holm([one.p for one in found.values()]), strict=True))
    equivalent = dict(zip(found, holm([one.p_equivalent for one in found.values()]), strict=True))
    return [
        {
            "method": row,
            "role": summary.rows.loc[row, "role"],
            "metric": metric,
            "seeds": one.seeds,
            "difference": one.mean,
            "low": one.low,
            "high": one.high,
            "p": one.p,
            "p_holm": different[row],
            "p_equivalent": one.p_equivalent,
            "p_equivalent_holm": equivalent[row],
            "verdict": verdict(one.seeds, different[row], equivalent[row]),
        }
        for row, one in found.items()
    ]


def verdict(seeds: int, p: float, p_equivalent: float) -> str:
    """What the two adjusted p-values of a difference over `seeds` seeds say, in words."""
    if seeds < FEWEST_SEEDS:
        return f"cannot be known with {seeds} seed{'s' * (seeds > 1)}"
    if p < LEVEL:
        return "different, but within the margin" if p_equivalent < LEVEL else "different"
    return "equivalent" if p_equivalent < LEVEL else "undecided"


def legend(found: pd.DataFrame, reference: str, margin: float) -> list[str]:
    """The line that says what differences.csv is, at which margin, and what it cannot say."""
    if found.empty:
        return []
    line = f"differences.csv: each row's signed difference from {reference}"
    seeds = int(found["seeds"].max())
    if seeds < FEWEST_SEEDS:
        return [f"{line}; whether it is real cannot be known with {seeds} seed{'s' * (seeds > 1)}."]
    line += f", and whether it is real or within the margin of {margin:g} point{'s' * (margin != 1)}"
    least = smallest_p(seeds)
    rows = found.groupby([c for c in ("class", "metric") if c in found])["p"].count().min()
    if least >= LEVEL:
        line += f"; with {seeds} seeds no p-value is below {least:g}, so no row can be called different"
    elif least * rows >= LEVEL:
        line += (
            f"; with {seeds} seeds no p-value is below {least:.2g}, after Holm's correction for {rows} rows "
            f"{least * rows:.2g}, so no row can be called different"
        )
    return [line + "."]
