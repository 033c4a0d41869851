"""From cells (one per row of the table and seed) to the numbers of the table.

Percent everywhere, seconds for RTE. A row with one failed seed has no numbers at all: a mean over
the seeds that happened to survive would be a number about something else.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping

import pandas as pd

from mubench.reporting.gap import avg_gap, floor_band

METRICS = ("ua", "ra", "ta", "mia", "mia_svc")
# Avg. Gap by the attack that it takes: column of the summary -> column of the attack.
ATTACKS = {"avg_gap": "mia", "avg_gap_svc": "mia_svc"}
# What a row is called when its seeds disagree: the first of these that any seed has.
WORST = ("FAILED", "missing", "skipped", "ok")


def shown(cells: pd.DataFrame) -> tuple[str, ...]:
    """The metrics with a column of their own, in percent; `fta` only where a class is forgotten."""
    return (*METRICS, "fta") if "fta" in cells else METRICS


def rows(cells: pd.DataFrame) -> pd.DataFrame:
    """What each row of the table is, by method and in table order.

    Columns: role, status, reason ("" if ok), seeds (how many), rte_shared (any seed was timed while
    another cell ran).
    """
    by = cells.groupby("method", sort=False)
    rank = cells["status"].map(WORST.index).groupby(cells["method"], sort=False).min()
    about = pd.DataFrame({"role": by["role"].first(), "status": rank.map(dict(enumerate(WORST)))})
    about["reason"] = [_reason(by.get_group(name), about["status"][name]) for name in about.index]
    about["seeds"] = by.size()
    # NaN where nothing was timed, which is not shared.
    about["rte_shared"] = cells["rte_shared"].eq(True).groupby(cells["method"], sort=False).any()
    return about


def _reason(group: pd.DataFrame, status: str) -> str:
    if status == "ok":
        return ""
    said = group[group["status"] == status]
    reason = str(said["reason"].iloc[0])
    if len(group) == 1 or (len(said) == len(group) and said["reason"].nunique() == 1):
        return reason
    return f"seed {int(said['seed'].iloc[0])}: {reason}"


def reference(cells: pd.DataFrame) -> str:
    """The name of the row that all others are compared with.

    Raises ValueError unless exactly one row has the role "reference".
    """
    names = [str(name) for name in cells.loc[cells["role"] == "reference", "method"].unique()]
    if len(names) != 1:
        raise ValueError(f"a table needs exactly one row with the role 'reference', not {names}")
    return names[0]


def per_seed_gaps(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells with their own `avg_gap` and `avg_gap_svc`, against the same seed's reference.

    In points; NaN where the cell or its seed's reference is not ok.
    """
    ok = cells["status"] == "ok"
    targets = _by_seed(cells[ok & (cells["role"] == "reference")])
    out = cells.copy()
    for column, mia in ATTACKS.items():
        out[column] = [
            avg_gap(numbers, targets[seed], mia=mia) if fine and seed in targets else math.nan
            for seed, fine, numbers in zip(cells["seed"], ok, _records(cells), strict=True)
        ]
    return out


def summarise(cells: pd.DataFrame) -> pd.DataFrame:
    """The numbers of the table, a line per row in table order; exactly the columns of table.csv.

    `m`, `m_std` (ddof = 1; NaN with one seed) and `m_gap` (absolute) for every metric m in percent.
    `avg_gap` and `avg_gap_svc` come from unrounded means over the seeds. `avg_gap_seed_mean` and
    `_std` are another estimator: of the Avg. Gaps seed by seed. `rte` in seconds, `rte_ratio` as a
    share of the reference's. Rows that are not ok have no numbers; without an ok reference there
    are no gaps.

    Raises ValueError unless exactly one row is the reference.
    """
    about, target, metrics = rows(cells), reference(cells), shown(cells)
    whole = cells[cells["method"].isin(about.index[about["status"] == "ok"])]
    mean, std = _moments(whole, [*metrics, "rte"], about.index)
    gap = (mean - mean.loc[target]).abs()
    means = dict(zip(about.index, _records(mean), strict=True))

    out = pd.DataFrame({"status": about["status"]}, index=about.index)
    for m in METRICS:
        out[m], out[f"{m}_std"], out[f"{m}_gap"] = mean[m], std[m], gap[m]
    for column, mia in ATTACKS.items():
        needed = mean[["ua", "ra", "ta", mia]].notna().all(axis=1)
        known = needed & bool(needed[target])
        out[column] = [
            avg_gap(means[r], means[target], mia=mia) if known[r] else math.nan for r in about.index
        ]
    seeds_mean, seeds_std = _moments(per_seed_gaps(whole), ["avg_gap"], about.index)
    out["avg_gap_seed_mean"], out["avg_gap_seed_std"] = seeds_mean["avg_gap"], seeds_std["avg_gap"]
    out["rte"], out["rte_std"], out["rte_ratio"] = mean["rte"], std["rte"], mean["rte"] / mean["rte"][target]
    if "fta" in metrics:
        out["fta"], out["fta_std"], out["fta_gap"] = mean["fta"], std["fta"], gap["fta"]
    return out.reset_index()


def floor_bands(cells: pd.DataFrame) -> dict[str, float]:
    """The noise floor's band in points, for `avg_gap` and `avg_gap_svc`.

    Empty without a floor row, or with fewer than two seeds at which it and the reference are ok.
    """
    whole = cells[cells["method"].isin(rows(cells).query("status == 'ok'").index)]
    first = _by_seed(whole[whole["role"] == "reference"])
    second = _by_seed(whole[whole["role"] == "floor"])
    both = [seed for seed in first if seed in second]
    if len(both) < 2:
        return {}
    pairs = [first[s] for s in both], [second[s] for s in both]
    return {column: float(floor_band(*pairs, mia=mia)) for column, mia in ATTACKS.items()}


def _moments(
    cells: pd.DataFrame, columns: list[str], order: pd.Index[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mean and std (ddof = 1) over the seeds of each row.

    NaN if a seed has none: a missing number must show, not shrink the sample.
    """
    groups = cells.astype(dict.fromkeys(columns, float)).groupby("method", sort=False)[columns]
    whole = groups.count().eq(groups.size(), axis=0)
    return groups.mean().where(whole).reindex(order), groups.std(ddof=1).where(whole).reindex(order)


def _records(frame: pd.DataFrame) -> list[Mapping[str, float]]:
    columns: list[Hashable] = list(METRICS)
    return frame[columns].astype(float).to_dict("records")  # type: ignore[return-value]


def _by_seed(cells: pd.DataFrame) -> dict[int, Mapping[str, float]]:
    return dict(zip(cells["seed"], _records(cells), strict=True))
