"""The numbers of every cell: computed from the records in the store, or kept from an earlier cells.csv."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mubench.api.metric import MetricSpec
from mubench.errors import UsageError, error_context, one_line, unknown
from mubench.planning.rows import ROLES, Status
from mubench.reporting import histograms
from mubench.reporting.histograms import Histograms
from mubench.reporting.kept import Kept
from mubench.reporting.manifest import Manifest, ManifestRow
from mubench.reporting.metric_cache import cached_values, histograms_of, row_values
from mubench.reporting.parallel import on_all_cores
from mubench.storage.store import Record, Store

FILE = "cells.csv"
_FIRST = ("method", "role", "seed", "status", "reason")
_COSTS = (
    *("rte", "rte_shared", "forward", "backward", "read_forget", "read_retain"),
    *("peak_memory_mib", "changed"),
)


def cells_frame(
    manifest: Manifest, store: Store, metrics: Mapping[str, MetricSpec], kept: Kept | None = None
) -> pd.DataFrame:
    """One line per row of the table and seed: status, metrics, costs; with the class first, if there are.

    With a column `target` if any row is compared with a Retrain of its own.
    A row whose records are all in the store is computed anew. Where that is not so, the lines in `kept`
    stand; only what neither of them has is missing.

    Raises UsageError for options of a metric that are wrong, or a key that is no method's.
    """
    if any(store.get(key, arrays=False) for key in manifest.keys):
        with error_context("[metrics]"):
            for name, options in manifest.metrics.items():
                if name not in metrics:
                    raise unknown("metric", name, metrics)
                metrics[name].bind(options, f"metric {name!r}")
    frames = {
        label: pd.DataFrame(_lines(rows, store, metrics, manifest.metrics, kept or Kept()))
        for label, rows in manifest.blocks.items()
    }
    frame = pd.concat(frames, names=["class"]).reset_index("class").reset_index(drop=True)
    gaps = [column.name for column in manifest.columns if column.gap]
    own = ["target"] if any(row.target for rows in manifest.blocks.values() for row in rows) else []
    first = [*(["class"] if manifest.classes else []), *_FIRST, *own, *gaps]
    for name in (*first, "rte", "rte_shared", "key"):
        if name not in frame:
            frame[name] = np.nan
    last = [name for name in _COSTS if name in frame]
    middle = [c for c in frame if c not in (*first, *last, "key", "class", "target")]
    return frame[[*first, *middle, *last, "key"]]


def _lines(
    rows: Sequence[ManifestRow],
    store: Store,
    metrics: Mapping[str, MetricSpec],
    options: Mapping[str, Mapping[str, Any]],
    kept: Kept,
) -> list[dict[str, Any]]:
    found, given = _found(rows, store, arrays=False), (store, metrics, options)
    known = {name: cached_values([*r.values()], beside, *given) for name, (r, beside) in found.items()}

    def values(name: str) -> list[dict[str, float]]:
        records, beside = found[name]
        numbers = known.get(name)
        return row_values([*records.values()], beside, *given) if numbers is None else numbers

    if new := [row.name for row in rows if not row.status and known[row.name] is None]:
        found, known = _found(rows, store, arrays=True), {}
        # what these processes compute they leave in the store, where it is read below
        on_all_cores(values, new)
    lines: list[dict[str, Any]] = []
    for row in rows:
        about: dict[str, Any] = {"method": row.name, "role": row.role, "target": row.target}
        if row.status:
            lines.append({**about, "status": row.status, "reason": row.reason})
            continue
        records = found[row.name].records
        computed, failure = _computed(records, partial(values, row.name))
        complete = len(computed) == len(row.keys)
        for seed, key in row.keys.items():
            about |= {"seed": seed, "key": key}
            if complete:
                whole = {"status": Status.OK, "reason": "", **computed[seed], **about}
                lines.append({**whole, **kept.besides(key, whole)})
                continue
            old = kept.get(key, {})
            line: dict[str, Any] = {"status": Status.MISSING, "reason": "not run yet"}
            if old.get("status") == Status.OK:
                line = dict(old)
            elif seed in computed:
                line = {"status": Status.OK, "reason": "", **computed[seed]}
            elif reason := failure if seed in records else store.failure(key):
                line = {"status": Status.FAILED, "reason": one_line(reason)}
            elif old:
                line = {"status": Status.FAILED, "reason": old["reason"]}
            lines.append({**line, **about})
    return lines


class _Found(NamedTuple):
    """A row's records that are in the store, by seed, and what it is measured with, see `_beside`."""

    records: dict[int, Record]
    beside: Mapping[str, list[Any]]


def _found(rows: Sequence[ManifestRow], store: Store, arrays: bool) -> dict[str, _Found]:
    """By row. arrays: whether they will be read, so that only whole records count."""
    records = {row.name: _records(row, store, arrays) for row in rows}
    beside = {row.name: _beside(records[row.name], _by_role(row, rows, records)) for row in rows}
    return {name: _Found(records[name], beside[name]) for name in records}


def _records(row: ManifestRow, store: Store, arrays: bool) -> dict[int, Record]:
    """Seed -> the row's record, if it is in the store; by seed."""
    seeds = sorted(row.keys)
    keys = [row.keys[seed] for seed in seeds]
    given = [store.get(key) for key in keys] if arrays else store.get_all(keys)
    records = {seed: record for seed, record in zip(seeds, given, strict=True) if record}
    for seed, record in records.items():
        if record.about["method"] is None:
            raise UsageError(f"{row.name}, seed {seed}: its key is that of an original model")
    return records


def _by_role(
    row: ManifestRow, rows: Sequence[ManifestRow], records: Mapping[str, Mapping[int, Record]]
) -> Mapping[str, Sequence[Mapping[int, Record]]]:
    """The records of the rows that a row is measured with: the table's, or those of its own kind."""
    if not row.target:
        return {role: [records[other.name] for other in rows if other.role == role] for role in ROLES}
    kin = [other.name for other in rows if other.role == "aside" and other.target == row.target]
    return {
        "reference": [records[row.target]],
        "baseline": [records[name] for name in kin if name != row.target],
        "floor": [],
    }


def _beside(
    records: Mapping[int, Record], by_role: Mapping[str, Sequence[Mapping[int, Record]]]
) -> Mapping[str, list[Any]]:
    """What a row is measured with: reference, original and further Retrains, each by the row's seeds."""
    seeds = sorted(records)
    # metrics that compare with other rows need them at every seed of this one
    whole = {role: [r for r in of if all(s in r for s in seeds)] for role, of in by_role.items()}
    beside: dict[str, list[Any]] = {
        name: [of[s] for s in seeds for of in whole[role][:1]]
        for name, role in (("references", "reference"), ("originals", "baseline"))
    }
    if whole["floor"] and (first := beside["references"]):
        # no Retrain may judge itself: the first one takes its place, so that all rows have equally many
        beside["retrains"] = [
            [first[i] if of[s].about["key"] == records[s].about["key"] else of[s] for of in whole["floor"]]
            for i, s in enumerate(seeds)
        ]
    return beside


def _computed(
    records: Mapping[int, Record], values: Callable[[], list[dict[str, float]]]
) -> tuple[dict[int, dict[str, Any]], str]:
    """Seed -> the numbers of its record; or none, and why they could not be computed."""
    try:
        found = values()
    except ValueError as error:  # the other rows have their numbers
        return {}, f"{type(error).__name__}: {error}"
    return {
        seed: {**numbers, **_notes(records[seed]), **_cost(records[seed])}
        for seed, numbers in zip(sorted(records), found, strict=True)
    }, ""


def _cost(record: Record) -> dict[str, Any]:
    cost = record.about["cost"]
    numbers = {
        "rte": cost["seconds"],
        "rte_shared": cost["shared"],
        "forward": cost["forward"],
        "backward": cost["backward"],
        "read_forget": cost["read"]["forget"],
        "read_retain": cost["read"]["retain"],
        "peak_memory_mib": cost["peak_memory_mib"],
    }
    # records of old versions do not say it
    changed = record.about.get("changed")
    return numbers if changed is None else {**numbers, "changed": changed}


def _notes(record: Record) -> dict[str, Any]:
    """What the method logged, where it is a number or a text."""
    notes = record.about.get("notes") or {}
    return {
        f"note_{one_line(str(name))}": one_line(value) if isinstance(value, str) else value
        for name, value in notes.items()
        if isinstance(value, str | int | float)
    }


def row_histograms(manifest: Manifest, store: Store, folder: Path) -> Histograms:
    """The histograms of each row whose records are in the store, else those kept in the folder.

    All seeds together; none where every class is forgotten in turn, which has no picture of them.
    """
    keys = {row.name: list(row.keys.values()) for row in manifest.rows if row.keys}
    kept, present = histograms.load(keys, folder), store.present()
    found = {
        name: (histograms_of(of_row, store) if present.issuperset(of_row) else None) or kept.get(name)
        for name, of_row in keys.items()
    }
    return {name: parts for name, parts in found.items() if parts is not None}


class Environments(NamedTuple):
    """What the records say of where they were made, each once and in their order; whole: none is missing."""

    each: list[Mapping[str, Any]]
    whole: bool


def environments(manifest: Manifest, store: Store) -> Environments:
    """Those of the manifest's records."""
    records = [store.get(key, arrays=False) for key in manifest.keys]
    alike = {repr(e): e for e in (record.about["environment"] for record in records if record)}
    return Environments([*alike.values()], None not in records)


def hardware(manifest: Manifest, found: Environments) -> list[str]:
    """A line for each kind of machine and set of versions that the records were made on.

    Where records are missing, also the lines that the manifest has of them.
    """
    lines = dict.fromkeys(() if found.whole else manifest.hardware)
    for e in found.each:
        where = f", {e['threads']} thread(s) per cell" if e["device"] == "cpu" else ""
        lines[
            f"Made on: {e['hardware']} ({e['device']}{where}), Python {e['python']}, "
            f"torch {e['torch']}, mubench {e['mubench']}."
        ] = None
    return list(lines)
