"""The lines under a table: how to read a cell, what the noise is, and why a row has no numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from mubench.errors import one_line
from mubench.planning.rows import Status
from mubench.reporting.columns import AvgGap
from mubench.reporting.gap import ENOUGH
from mubench.reporting.statistics import FEWEST_SEEDS
from mubench.reporting.summary import Summary

_LINE = 160
# The mark of an attack that is not above chance.
AT_CHANCE = "†"


def legend(summary: Summary, names: Sequence[str], compact: bool = False, brief: bool = False) -> list[str]:
    """The lines that the columns `names` of a summary call for, in reading order."""
    name, ok = summary.reference, summary.ok
    lines = []
    if len(ok):
        gaps = avg_gaps(summary, [gap for gap in summary.columns.gaps if gap.name in names])
        sure = [] if compact else between(summary, names)
        compared = [*ranks(summary, names), *gaps, *sure] if name in ok.index else []
        time = [_time(ok, name, compact or brief)] if "rte" in names else []
        lines += [
            cell(summary, compact or brief, brief),
            *compared,
            *at_chance(summary, names),
            *time,
            *_floor(summary),
        ]
    if "rte" in names and ok["rte_shared"].any():
        lines.append("* slowed down by other work on the machine while it was timed: RTE is an upper bound.")
    lines += [*own(summary, names), *merged(summary.cells), *idle(summary)]
    if summary.rows.loc[name, "status"] != Status.OK:
        lines.append(f"{name} has no numbers, so nothing can be compared with it: no gaps are shown.")
    bad = without_numbers(summary)
    lines += [clipped(f"{row}: {bad.loc[row, 'status']}. {bad.loc[row, 'reason']}") for row in bad.index]
    return lines


def without_numbers(summary: Summary) -> pd.DataFrame:
    """The rows that have none; those that no table prints only where they have a reason of their own."""
    bad = summary.rows[summary.rows["status"] != Status.OK]
    aside = bad["role"] == "aside"
    return bad[~aside | ~bad["reason"].isin(bad["reason"][~aside])]


def clipped(text: str) -> str:
    """The text on one line of at most 160 characters."""
    flat = one_line(text)
    return flat if len(flat) <= _LINE else flat[: _LINE - 1].rstrip() + "…"


def cell(summary: Summary, compact: bool = False, brief: bool = False) -> str:
    """How to read a cell; compact: no spread is shown. brief: nor the difference from the reference."""
    ok = summary.ok
    low, high = ok["seeds"].min(), ok["seeds"].max()
    compared = summary.reference in ok.index and not brief
    gap = f" (absolute difference from {summary.target})" if compared else ""
    if high == 1:
        return f"Cells: the value in percent{gap}; one seed, so no spread is known."
    seeds = f"{high}" if low == high else f"{low} to {high}"
    spread = "" if compact else " ± standard deviation"
    return f"Cells: mean{spread} over {seeds} seeds, in percent{gap}."


def ranks(summary: Summary, names: Sequence[str]) -> list[str]:
    """What ranks and bold mean in these columns; nothing where fewer than two rows compete."""
    ok = summary.ok
    if not summary.columns.gaps or not {"rank", summary.columns.headline.name} & set(names):
        return []
    if summary.numbers["rank"].isna().all():
        return []
    gap, seeds = summary.columns.headline, int(ok.loc[ok["competes"], "seeds"].max())
    if seeds < FEWEST_SEEDS:
        return [f"Rank: with {seeds} seed{'s' * (seeds > 1)} no method is told from another, and none bold."]
    line = (
        f"Rank: by {gap.title}; methods share ranks where they cannot be told apart (paired t over seeds, "
        f"5 % after Holm over all pairs). Bold: no method is known to be closer to {summary.reference}"
    )
    beside = ", ".join([str(row) for row in ok.index[~ok["competes"]]])
    return [line + (f"; {beside} do not compete." if beside else ".")]


def avg_gaps(summary: Summary, gaps: Sequence[AvgGap]) -> list[str]:
    """What these Avg. Gaps are, in one line."""
    if not gaps:
        return []
    titles = summary.columns.titles()
    first, *others = gaps
    line = (
        f"{first.title}: mean of the absolute differences from {summary.target} in "
        f"{_and([titles[m] for m in first.metrics])}, from unrounded means over the seeds"
    )
    for gap in others:
        line += f"; {gap.title} has {titles[gap.attack]} in place of {titles[first.attack]}"
    return [line + "."]


def between(summary: Summary, names: Sequence[str]) -> list[str]:
    """What the intervals of Avg. Gaps are, or why there are none."""
    gaps = [gap.name for gap in summary.columns.gaps if gap.name in names]
    seeds = int(summary.ok["seeds"].max())
    if gaps and seeds < FEWEST_SEEDS:
        return [f"How sure an Avg. Gap is cannot be known with {seeds} seed{'s' * (seeds > 1)}."]
    if not gaps or summary.numbers[[f"{name}_low" for name in gaps]].isna().all(axis=None):
        return []
    return [
        "In square brackets: the 95 % interval of an Avg. Gap, from the spread over the seeds and the error "
        "of the attack's fit."
    ]


def own(summary: Summary, names: Sequence[str]) -> list[str]:
    """The rows that are compared with a Retrain of their own, and its numbers in these columns."""
    lines, titles = [], summary.columns.titles()
    for row in summary.ok.index.intersection(list(summary.targets.own)):
        target = summary.targets.own[row]
        values, about = summary.numbers.loc[target], summary.rows.loc[target]
        told = ", ".join(
            f"{titles[m]} {values[m]:.2f}"
            for m in summary.columns.names
            if m in names and pd.notna(values[m])
        )
        what = told or f"{about['status']}. {about['reason']}"
        time = " RTE is its deletion alone, as a share of that Retrain's." * ("rte" in names)
        lines.append(
            f"{row}: its original is of its own kind, so it is compared with that kind trained without the "
            f"forget set, and has no rank. {target}: {what.rstrip('.')}.{time}"
        )
    return lines


def at_chance(summary: Summary, names: Sequence[str]) -> list[str]:
    """What the mark of an attack at chance means, if there is one."""
    marks = [f"{gap.attack}_at_chance" for gap in summary.columns.gaps if gap.attack in names]
    if not summary.numbers[marks].eq(1).any(axis=None):
        return []
    return [
        f"{AT_CHANCE} attack at chance: on images held out from its fit it is not above a balanced accuracy "
        "of 50 % by two standard errors; its number says nothing, nor does an Avg. Gap with it."
    ]


def _and(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _time(ok: pd.DataFrame, name: str, compact: bool) -> str:
    share = f" (as a share of {name}'s)" if name in ok.index and not compact else ""
    return f"RTE: run time of the method alone{share}, in seconds or minutes:seconds."


def _floor(summary: Summary) -> list[str]:
    if not summary.bands:
        return []
    floors = summary.numbers.loc[list(summary.retrains)]
    first, *others = summary.columns.gaps
    band = {name: f"{value:.2f}" for name, value in summary.bands.items()}

    def values(of: Mapping[str, str]) -> str:
        more = [f" ({g.title.partition('(')[2].rstrip(')') or g.title} {of[g.name]})" for g in others]
        return f"{of[first.name]}{''.join(more)}"

    if len(floors) < ENOUGH:
        second = {g.name: f"{floors[g.name].iloc[1]:.2f}" for g in summary.columns.gaps}
        return [
            f"Noise floor: a second {summary.reference}'s {first.title} is {values(second)}; the band "
            f"{values(band)} comes from these two alone, which cannot bound the floor: it takes {ENOUGH}."
        ]
    apart = {
        g.name: f"{floors[g.name].min():.2f} to {floors[g.name].max():.2f}" for g in summary.columns.gaps
    }
    return [
        f"Noise floor: each of the {len(floors)} {summary.reference}s has an {first.title} of "
        f"{values(apart)} to the mean of the others; one more would stay below {values(band)} 95 times in "
        "100: gaps below that are not distinguishable from retraining again."
    ]


def merged(cells: pd.DataFrame) -> list[str]:
    """What merging near-equal points may have cost MIA-SVC."""
    if "mia_svc_merged" not in cells or not cells["mia_svc_merged"].eq(1).any():
        return []
    return ["MIA-SVC: fitted to near-equal points merged into one; a value may be off by up to 0.04."]


def idle(summary: Summary) -> list[str]:
    """The rows whose method did nothing."""
    return [
        f"{row}: the method changed no weight, so its numbers are those of the original model; it does not "
        "compete."
        for row in summary.ok.index[summary.ok["idle"]]
    ]
