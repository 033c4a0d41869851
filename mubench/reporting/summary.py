"""From cells (one per row of the table and seed) to the numbers of the table, computed once.

Percent everywhere, seconds for RTE. A row with one failed seed has no numbers at all: a mean over
the seeds that happened to survive would be a number about something else.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from mubench.planning.rows import Status
from mubench.reporting.columns import Columns, installed
from mubench.reporting.gap import ENOUGH, avg_gap, floor_band, floor_quantile
from mubench.reporting.ranking import rank_texts
from mubench.reporting.statistics import FEWEST_SEEDS
from mubench.reporting.target import Targets, aims, differences, signed
from mubench.reporting.uncertainty import at_chance, fit_variances, gap_fits, intervals, standard_errors

# What a row is called when its seeds disagree: the first of these that any seed has.
WORST = (Status.FAILED, Status.MISSING, Status.SKIPPED, Status.OK)


@dataclass(frozen=True)
class Summary:
    """All that a table and its pictures say about some cells.

    columns: the metrics that are shown. reference: the row with that role. targets: what rows are compared
    with; its `retrains` are the reference and the further Retrains that are ok. cells: the cells, with their
    own Avg. Gaps, NaN where there is none. rows: what each row is, by method in table order; see
    `summarise_rows`. numbers: the numbers of each row, by method; with the name in front, the columns of
    table.csv. Rows with the role "aside" are among them, and not printed.
    bands: the noise floor's band in points, by Avg. Gap; see `floor_bands`.
    """

    columns: Columns
    reference: str
    cells: pd.DataFrame
    rows: pd.DataFrame
    numbers: pd.DataFrame
    bands: Mapping[str, float]
    targets: Targets

    @property
    def retrains(self) -> tuple[str, ...]:
        """The reference and the further Retrains that are ok."""
        return self.targets.retrains

    @property
    def target(self) -> str:
        """What the rows are compared with, in words."""
        count = len(self.retrains)
        return f"the mean of {count} {self.reference}s" if count >= ENOUGH else self.reference

    @property
    def table(self) -> pd.DataFrame:
        """The numbers of the rows that the table prints."""
        return self.numbers[self.rows["role"].reindex(self.numbers.index) != "aside"]

    @property
    def ok(self) -> pd.DataFrame:
        """The rows of the table that have numbers."""
        return self.rows[(self.rows["status"] == Status.OK) & (self.rows["role"] != "aside")]

    def finished(self, name: str) -> pd.DataFrame:
        """The cells of a row that are ok; none of an unknown row."""
        return self._finished.get(name, self.cells[:0])

    @cached_property
    def _finished(self) -> dict[Hashable, pd.DataFrame]:
        return dict(iter(self.cells[self.cells["status"] == Status.OK].groupby("method", sort=False)))

    @property
    def best(self) -> frozenset[str]:
        """The rows that compete and to which no other is known to be closer to the reference.

        None where there are too few seeds to know, or nothing to compare.
        """
        ranked = self.numbers["rank"].dropna() if "rank" in self.numbers else self.numbers["status"][:0]
        if ranked.empty or self.rows.loc[ranked.index, "seeds"].max() < FEWEST_SEEDS:
            return frozenset()
        return frozenset(str(row) for row, text in ranked.items() if text.partition("-")[0] == "1")


def summarise(cells: pd.DataFrame, columns: Columns | None = None) -> Summary:
    """The summary of these cells; columns: unless given, those of the installed metrics that are shown.

    `m`, `m_std` (ddof = 1; NaN with one seed), `m_gap` (absolute) and `m_se` (see `standard_errors`) for
    every metric m in percent; `a_at_chance` for every attack a. Avg. Gaps come from unrounded means over the
    seeds; see `aims` for what to, and `intervals` for `_low` and `_high`. `<headline>_seed_mean` and `_std`
    are another estimator: of the headline Avg. Gap seed by seed. `rank`: among the rows that compete, see
    `rank_texts`. `rte` in seconds, `rte_ratio` as a share of the reference's. Rows that are not ok have no
    numbers; without an ok reference there are no gaps.

    Raises ValueError unless exactly one row is the reference.
    """
    shown = columns or shown_columns(cells, installed())
    rows, target = summarise_rows(cells), find_reference(cells)
    ok = rows["status"] == Status.OK
    further = rows.index[ok & (rows["role"] == "floor")]
    targets = Targets((target, *(map(str, further) if ok[target] else ())), own_targets(cells))
    seeds = _with_gaps(cells, shown, targets)
    whole = seeds[seeds["method"].isin(rows.index[ok])]
    mean, std = _moments(whole, [*shown.names, "rte"], rows.index)
    target_means = aims(mean, targets)
    difference = (mean - target_means).abs()
    means, aimed = (
        dict(zip(rows.index, _records(frame, shown), strict=True)) for frame in (mean, target_means)
    )

    errors = standard_errors(whole, std, shown)
    out = pd.DataFrame({"status": rows["status"]}, index=rows.index)
    for m in shown.names:
        out[m], out[f"{m}_std"], out[f"{m}_gap"] = mean[m], std[m], difference[m]
        out[f"{m}_se"] = errors[m]
    fits = fit_variances(out, rows["seeds"], shown)
    between = intervals(whole, fits, shown, targets)
    for gap in shown.gaps:
        known = difference[list(gap.metrics)].notna().all(axis=1)
        out[gap.name] = [
            avg_gap(means[row], aimed[row], gap.metrics) if known[row] else math.nan for row in rows.index
        ]
        out[f"{gap.name}_low"] = [interval.low for interval in between[gap.name]]
        out[f"{gap.name}_high"] = [interval.high for interval in between[gap.name]]
        out[f"{gap.attack}_at_chance"] = at_chance(whole, gap.attack, rows.index)
    for gap in shown.gaps[:1]:
        seed_mean, seed_std = _moments(whole, [gap.name], rows.index)
        out[f"{gap.name}_seed_mean"], out[f"{gap.name}_seed_std"] = seed_mean[gap.name], seed_std[gap.name]
        competing = out.index[rows["competes"] & out[gap.name].notna()]
        apart = signed(whole, gap.metrics, targets)
        ranks = rank_texts({row: apart[row] for row in competing}, gap_fits([fits], gap.metrics))
        out["rank"] = pd.Series(ranks, out.index, dtype=object)
    out["rte"], out["rte_std"] = mean["rte"], std["rte"]
    beside = [targets.own.get(str(row), target) for row in out.index]
    out["rte_ratio"] = mean["rte"] / mean["rte"].reindex(beside).array
    return Summary(shown, target, seeds, rows, out, _floor_bands(whole, shown, targets.retrains), targets)


def shown_columns(cells: pd.DataFrame, columns: Columns) -> Columns:
    """The columns with a number in any cell; those of the Avg. Gaps if there are no numbers at all."""
    filled = [name for name in columns.names if name in cells and cells[name].notna().any()]
    return columns.only(filled or [c.name for c in columns.metrics if c.gap and c.name in cells])


def summarise_rows(cells: pd.DataFrame) -> pd.DataFrame:
    """What each row of the table is, by method and in table order.

    Columns: role, status, reason ("" if ok), seeds (how many), rte_shared (any seed was slowed down by
    other work), idle (a method that changed no weight at any seed), competes (a method that is
    ok, not idle, and compared with what the others are).
    """
    by = cells.groupby("method", sort=False)
    rank = cells["status"].map(WORST.index).groupby(cells["method"], sort=False).min()
    rows = pd.DataFrame({"role": by["role"].first(), "status": rank.map(dict(enumerate(WORST)))})
    rows["reason"] = [_reason(by.get_group(name), rows["status"][name]) for name in rows.index]
    rows["seeds"] = by.size()
    # NaN where nothing was timed, which is not shared.
    rows["rte_shared"] = cells["rte_shared"].eq(True).groupby(cells["method"], sort=False).any()
    method = rows["role"] == "method"
    unchanged = cells["changed"].eq(0) if "changed" in cells else cells["status"].eq("")
    rows["idle"] = method & unchanged.groupby(cells["method"], sort=False).all()
    alike = ~rows.index.isin(list(own_targets(cells)))
    rows["competes"] = method & (rows["status"] == Status.OK) & ~rows["idle"] & alike
    return rows


def own_targets(cells: pd.DataFrame) -> dict[str, str]:
    """Row -> the row that it is compared with, for those that have a Retrain of their own."""
    if "target" not in cells:
        return {}
    named = cells[cells["target"].fillna("") != ""]
    return {str(row): str(target) for row, target in zip(named["method"], named["target"], strict=True)}


def _reason(group: pd.DataFrame, status: str) -> str:
    if status == Status.OK:
        return ""
    alike = group[group["status"] == status]
    reason = str(alike["reason"].iloc[0])
    if len(group) == 1 or (len(alike) == len(group) and alike["reason"].nunique() == 1):
        return reason
    return f"seed {int(alike['seed'].iloc[0])}: {reason}"


def find_reference(cells: pd.DataFrame) -> str:
    """The name of the reference. Raises ValueError unless exactly one row has the role "reference"."""
    names = [str(name) for name in cells.loc[cells["role"] == "reference", "method"].unique()]
    if len(names) != 1:
        raise ValueError(f"a table needs exactly one row with the role 'reference', not {names}")
    return names[0]


def _with_gaps(cells: pd.DataFrame, columns: Columns, targets: Targets) -> pd.DataFrame:
    """The cells with their own Avg. Gaps in points, seed by seed."""
    out = cells.assign(**dict.fromkeys((gap.name for gap in columns.gaps), math.nan))
    apart = differences(cells, columns.names, targets).abs()
    for gap in columns.gaps:
        out.loc[apart.index, gap.name] = apart[list(gap.metrics)].mean(axis=1, skipna=False)
    return out


def _floor_bands(whole: pd.DataFrame, columns: Columns, retrains: Sequence[str]) -> dict[str, float]:
    """The band of each Avg. Gap from the Retrains that are ok at every seed.

    Of two Retrains by swapping, which takes two seeds; of more as `floor_quantile` says. Empty where
    there is none.
    """
    of_row = [_by_seed(whole[whole["method"] == name], columns) for name in retrains]
    by_seed = [[values[seed] for values in of_row] for seed in of_row[0] if all(seed in v for v in of_row)]
    if len(retrains) >= ENOUGH and by_seed:
        return {gap.name: floor_quantile(by_seed, gap.metrics, columns.pooled) for gap in columns.gaps}
    if len(retrains) < 2 or len(by_seed) < 2:
        return {}
    first, second = zip(*by_seed, strict=True)
    return {gap.name: floor_band(first, second, gap.metrics) for gap in columns.gaps}


def _moments(
    cells: pd.DataFrame, names: Sequence[str], order: pd.Index[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mean and std (ddof = 1) over the seeds of each row.

    NaN if a seed has none: a missing number must show, not shrink the sample.
    """
    groups = cells.astype(dict.fromkeys(names, float)).groupby("method", sort=False)[list(names)]
    whole = groups.count().eq(groups.size(), axis=0)
    return groups.mean().where(whole).reindex(order), groups.std(ddof=1).where(whole).reindex(order)


def _records(frame: pd.DataFrame, columns: Columns) -> list[Mapping[str, float]]:
    names: list[Hashable] = list(columns.names)
    return frame[names].astype(float).to_dict("records")  # type: ignore[return-value]


def _by_seed(cells: pd.DataFrame, columns: Columns) -> dict[int, Mapping[str, float]]:
    return dict(zip(cells["seed"], _records(cells, columns), strict=True))
