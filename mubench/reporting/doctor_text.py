"""A diagnosis as a table with its lines, and as plain data for JSON."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mubench.planning.rows import Status
from mubench.reporting.doctor import RANKS, SIGNAL, Diagnosis
from mubench.reporting.floor_check import WANTED, FloorCheck
from mubench.reporting.summary import Summary
from mubench.reporting.tables import Table, TextCell


def as_table(found: Diagnosis, title: str, gap: str, check: FloorCheck | None, notes: Sequence[str]) -> Table:
    """A row per method with its gap in each replicate; under it the verdict and what it rests on.

    title: the suite's. gap: the headline's title. notes: further lines.
    """
    first = found.replicates[0]
    rows = [
        (name, *(f"{one.gaps[name]:.2f}" for one in found.replicates), f"{first.errors[name]:.2f}")
        for name in found.methods
    ]
    lines = [found.verdict, *_signals(found), *_floor(found), *_tried(check), *notes]
    return Table(
        ("Method", *(one.name for one in found.replicates), "s.e."),
        tuple(tuple(map(TextCell, row)) for row in rows),
        f"Does the suite discriminate? {title}: {gap} in replicates that differ in rounding",
        tuple(lines),
    )


def _signals(found: Diagnosis) -> list[str]:
    ranks = "; ".join(f"{one} / {two}: {rank:.2f}" for (one, two), rank in found.correlations.items())
    return [
        f"Over rounding: sd between methods {found.spread:.2f} / mean movement between replicates "
        f"{found.movement:.2f} = {found.over_rounding:.1f}.",
        f"Over seeds: sd between methods {found.own_spread:.2f} / standard error {found.error:.2f} = "
        f"{found.over_seeds:.1f}; s.e.: of {found.replicates[0].name}, jackknife over {found.seeds} seeds, "
        "paired with Retrain.",
        f"Rank correlation (Spearman) of the methods: {ranks}.",
    ]


def _floor(found: Diagnosis) -> list[str]:
    """The Original and the floor, beside the gaps of the suite as it is."""
    lines = []
    originals = [one.baseline for one in found.replicates]
    if None not in originals:
        lines.append(f"Original: {', '.join(f'{value:.2f}' for value in originals)}.")
    bands = [one.band for one in found.replicates]
    if (band := bands[0]) is not None:
        below = [name for name in found.methods if found.replicates[0].gaps[name] <= band]
        within = f"within it: {', '.join(below)}" if below else "no method is within it"
        shown = ", ".join("none" if one is None else f"{one:.2f}" for one in bands)
        lines.append(f"Noise floor's 95 % band: {shown}; {within}.")
    return lines


def _tried(check: FloorCheck | None) -> list[str]:
    if check is None:
        return []
    return [
        f"Floor check: an independent Retrain lies above the 95 % band of {check.drawn} others in "
        f"{check.percent:.1f} % of {check.trials} trials with {check.retrains} "
        f"Retrains; wanted {WANTED[0]:g} to {WANTED[1]:g} %, which so few rows can only suggest."
    ]


def rows_left_out(summaries: Mapping[str, Summary], methods: Collection[str]) -> list[str]:
    """A line about the methods that do not compete in some replicate, and why."""
    rows_of = {name: summary.rows[summary.rows["role"] == "method"] for name, summary in summaries.items()}
    every = {str(row): None for rows in rows_of.values() for row in rows.index if row not in methods}
    why: dict[str, str] = {}
    for name, rows in rows_of.items():
        for row in every:
            if row not in rows.index:
                why.setdefault(row, f"{row} (not with the same parameters, {name})")
            elif not rows.loc[row, "competes"]:
                status = "changed no weight" if rows.loc[row, "idle"] else str(rows.loc[row, "status"])
                if status == Status.OK:
                    status = f"compared with its own {summaries[name].reference}"
                why.setdefault(row, f"{row} ({status}, {name})")
    return [f"Left out: {'; '.join(why.values())}."] if why else []


def as_data(found: Diagnosis, suite: str, gap: str, check: FloorCheck | None) -> dict[str, Any]:
    """Plain data; a ratio is null where nothing moved."""

    def finite(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {
        "suite": suite,
        "headline": gap,
        "seeds": found.seeds,
        "discriminating": found.discriminates,
        "verdict": found.verdict,
        "signal_to_noise": {
            "wanted": SIGNAL,
            "over_rounding": finite(found.over_rounding),
            "over_seeds": finite(found.over_seeds),
            "spread": found.spread,
            "movement": found.movement,
            "own_spread": found.own_spread,
            "standard_error": found.error,
        },
        "rank_correlation": {
            "wanted": RANKS,
            "pairs": [{"pair": list(pair), "spearman": rank} for pair, rank in found.correlations.items()],
        },
        "replicates": [
            {
                "name": one.name,
                "original": one.baseline,
                "band": one.band,
                "gaps": one.gaps,
                "errors": one.errors,
            }
            for one in found.replicates
        ],
        "floor_check": None
        if check is None
        else {
            "retrains": check.retrains,
            "drawn": check.drawn,
            "trials": check.trials,
            "above": check.above,
            "percent": check.percent,
            "wanted": list(WANTED),
            "holds": check.holds,
        },
    }
