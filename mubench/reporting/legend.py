"""The lines under a table: how to read a cell, what the noise is, and why a row has no numbers."""

from __future__ import annotations

import pandas as pd

from mubench.reporting.summary import floor_bands, reference

_LINE = 160


def legend(cells: pd.DataFrame, numbers: pd.DataFrame, about: pd.DataFrame) -> list[str]:
    """The lines that these cells call for, in reading order.

    numbers: their summary with the method as index; about: their `rows`.
    """
    name = reference(cells)
    ok = about[about["status"] == "ok"]
    lines = []
    if len(ok):
        compared = [bold(ok, name), _gap(name)] if name in ok.index else []
        lines += [cell(ok, name), *compared, _time(ok, name), *_floor(cells, numbers)]
    if ok["rte_shared"].any():
        lines.append("* timed while another cell ran on the same machine: RTE is an upper bound.")
    if about.loc[name, "status"] != "ok":
        lines.append(f"{name} has no numbers, so nothing can be compared with it: no gaps are shown.")
    bad = about[about["status"] != "ok"]
    lines += [one_line(f"{row}: {bad.loc[row, 'status']}. {bad.loc[row, 'reason']}") for row in bad.index]
    return lines


def one_line(text: str) -> str:
    """The text on one line of at most 160 characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= _LINE else flat[: _LINE - 1].rstrip() + "…"


def cell(ok: pd.DataFrame, name: str) -> str:
    """How to read a cell. ok: `rows` that have numbers; name: the reference."""
    low, high = ok["seeds"].min(), ok["seeds"].max()
    gap = f" (absolute difference from {name})" if name in ok.index else ""
    if high == 1:
        return f"Cells: the value in percent{gap}; one seed, so no spread is known."
    seeds = f"{high}" if low == high else f"{low} to {high}"
    return f"Cells: mean ± standard deviation over {seeds} seeds, in percent{gap}."


def bold(ok: pd.DataFrame, name: str, place: str = "its column") -> str:
    """What bold means: the smallest difference from the reference in `place`."""
    beside = ", ".join([str(row) for row in ok.index[ok["role"] != "method"]])
    return f"Bold: the smallest difference from {name} in {place}, which is not the largest value" + (
        f"; {beside} do not compete." if beside else "."
    )


def _gap(name: str) -> str:
    return (
        f"Avg. Gap: mean of the absolute differences from {name} in UA, RA, TA and MIA, from unrounded "
        "means over the seeds; Avg. Gap (SVC) has MIA-SVC in place of MIA."
    )


def _time(ok: pd.DataFrame, name: str) -> str:
    share = f" (as a share of {name}'s)" if name in ok.index else ""
    return f"RTE: run time of the method alone{share}, in seconds or minutes:seconds."


def _floor(cells: pd.DataFrame, numbers: pd.DataFrame) -> list[str]:
    bands = floor_bands(cells)
    if not bands:
        return []
    row = numbers.loc[cells.loc[cells["role"] == "floor", "method"].iloc[0]]
    return [
        f"Noise floor: a second {reference(cells)}'s Avg. Gap is {row['avg_gap']:.2f} (SVC "
        f"{row['avg_gap_svc']:.2f}); gaps below the band of {bands['avg_gap']:.2f} (SVC "
        f"{bands['avg_gap_svc']:.2f}) are not distinguishable from retraining again."
    ]
