"""From records to the numbers of every cell, and the folder a run leaves behind. Trains nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import mubench
from mubench.api.metric import MetricSpec
from mubench.api.scores import confidence
from mubench.discovery.find import Catalogue
from mubench.errors import UsageError
from mubench.planning.plan import Block, Plan
from mubench.planning.rows import Status, TableRow
from mubench.reporting.evaluate import evaluate_row
from mubench.reporting.plots.shown import Histograms
from mubench.reporting.render import render
from mubench.storage.files import key_of, write_atomic
from mubench.storage.store import Record, Store

NUMBERS = ("ua", "ra", "ta", "mia", "mia_svc", "rte")
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Results:
    """Everything a folder of results is rendered from; the manifest holds all but the numbers.

    about: title, what was run and on what data, as plain data for the manifest. classes: where every
    class is forgotten in turn, the rows of each class by its name; `rows` is then empty.
    """

    title: str
    rows: list[TableRow]
    metrics: dict[str, dict[str, Any]]
    notes: list[str]
    about: dict[str, Any]
    classes: dict[str, list[TableRow]] = field(default_factory=dict)

    @property
    def all_rows(self) -> list[TableRow]:
        """The rows of every class, or of the one table."""
        return [*self.rows, *(row for rows in self.classes.values() for row in rows)]


def from_plan(plan: Plan, name: str, overrides: Mapping[str, Any]) -> Results:
    """The results of a planned suite, run or not."""
    suite = plan.suite
    title = f"{suite.title} (LEGACY SPLIT, not comparable)" if suite.split != "clean" else suite.title
    split = next(iter(plan.blocks[0].splits.values()))
    counts = f"{len(split.train)} train, {len(split.val)} validation, {len(split.test)} test"
    recipe = suite.original
    steps = f", lr divided at {recipe.milestones}" if recipe.milestones else ""
    notes = [
        *_legacy_note(plan),
        *([f"Profile: {overrides['profile']}."] if "profile" in overrides else []),
        f"Data: {plan.dataset.title}; {counts} images; {_to_forget(plan)} to forget.",
        f"Model: {suite.model}, {recipe.epochs} epochs of SGD at lr {recipe.lr:g}{steps}; "
        f"batch {suite.batch_size}; {plan.precision}; seeds {', '.join(map(str, suite.seeds))}.",
        *([f"Hyper-parameters: {suite.tuning}"] if suite.tuning else []),
        *suite.notes,
    ]
    about = {
        "suite": name,
        "overrides": dict(overrides),
        "paper": suite.paper,
        "resolved": suite.model_dump(by_alias=True, exclude={"notes"}),
        "data": {"name": plan.dataset.name, "sha256": plan.dataset.digest},
        "splits": {b.label: _splits(b) for b in plan.blocks if b.label} or _splits(plan.blocks[0]),
    }
    classes = {block.label: block.rows for block in plan.blocks if block.label}
    rows = [] if classes else plan.blocks[0].rows
    return Results(title, rows, suite.metrics, notes, about, classes)


def _splits(block: Block) -> dict[str, Any]:
    return {str(seed): {"digest": s.digest, **s.manifest()} for seed, s in block.splits.items()}


def _to_forget(plan: Plan) -> str:
    """How many images: forget sets of all seeds are of one size, those of classes need not be."""
    sizes = sorted({len(next(iter(block.splits.values())).forget) for block in plan.blocks})
    count = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    return f"each of the {len(plan.blocks)} classes in turn, {count}" if plan.blocks[0].label else count


def _legacy_note(plan: Plan) -> list[str]:
    """How far a legacy split's original is off, loudly: its rows look as if they forgot something."""
    parts = next(iter(plan.blocks[0].splits.values())).partition
    if parts.original is None:
        return []
    per_class = np.bincount(plan.dataset.raw.labels[parts.unseen], minlength=plan.dataset.num_classes)
    return [
        f"LEGACY SPLIT ({plan.suite.split}): the original never saw {len(parts.unseen):,} of the "
        f"{len(parts.train):,} images to forget or retain ({per_class.min()} to {per_class.max()} per "
        f"class), and was trained on {len(parts.val_seen):,} of the {len(parts.val):,} validation images.",
        "LEGACY SPLIT: this is the flaw of the published code, kept to reproduce published rows; UA and RA "
        "of every row but Retrain contain it. Never compare with rows of the clean split.",
    ]


def from_folder(folder: Path) -> Results:
    """The results whose manifest lies in `folder`; UsageError if there is none or it is damaged."""
    path = folder / MANIFEST
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        rows = _rows(saved.pop("rows"))
        classes = {label: _rows(own) for label, own in saved.pop("classes", {}).items()}
        return Results(saved.pop("title"), rows, saved.pop("metrics"), saved.pop("notes"), saved, classes)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not a manifest of mubench: {error}") from None


def _rows(saved: list[dict[str, Any]]) -> list[TableRow]:
    return [
        TableRow(**{**row, "keys": {int(seed): key for seed, key in row["keys"].items()}}) for row in saved
    ]


def _row_values(
    records: Mapping[int, Record],
    references: Mapping[int, Record],
    store: Store,
    metrics: Mapping[str, MetricSpec],
    options: Mapping[str, Mapping[str, Any]],
) -> dict[int, dict[str, float]]:
    """The metrics of a row by seed; computed once, then read from the store."""
    seeds = sorted(records)
    facts = {
        "metrics": {m.name: m.source for m in metrics.values()},
        "numpy": np.__version__,
        "options": {k: dict(v) for k, v in options.items()},
        "cells": [records[s].about["key"] for s in seeds],
        "references": [references[s].about["key"] if s in references else None for s in seeds],
    }
    key = key_of(facts)
    saved = store.cached_json("metrics", key)
    if saved is None:
        outputs = [records[s].outputs() for s in seeds]
        # metrics that compare with Retrain need it at every seed of the row
        whole = all(s in references for s in seeds)
        targets = [references[s].outputs() for s in seeds] if whole else []
        saved = evaluate_row(metrics, outputs, targets, options)
        store.save_json("metrics", key, saved)
    return dict(zip(seeds, saved, strict=True))


def _cost(record: Record) -> dict[str, Any]:
    cost = record.about["cost"]
    return {
        "rte": cost["seconds"],
        "rte_shared": cost["shared"],
        "forward": cost["forward"],
        "backward": cost["backward"],
        "read_forget": cost["read"]["forget"],
        "read_retain": cost["read"]["retain"],
        "peak_memory_mib": cost["peak_memory_mib"],
    }


def cells_frame(results: Results, store: Store) -> pd.DataFrame:
    """One line per row of the table and seed (and class, then its name first): status, metrics, costs."""
    if results.classes:
        apart = {label: replace(results, rows=own, classes={}) for label, own in results.classes.items()}
        frames = {label: cells_frame(own, store) for label, own in apart.items()}
        return pd.concat(frames, names=["class"]).reset_index("class").reset_index(drop=True)
    metrics = Catalogue().metrics
    found = {r.name: {s: rec for s, k in r.keys.items() if (rec := store.get(k))} for r in results.rows}
    references = next((found[r.name] for r in results.rows if r.role == "reference"), {})
    lines: list[dict[str, Any]] = []
    for row in results.rows:
        if row.status:
            lines.append({"method": row.name, "role": row.role, "status": row.status, "reason": row.reason})
            continue
        values = _row_values(found[row.name], references, store, metrics, results.metrics)
        for seed, key in row.keys.items():
            line: dict[str, Any] = {"method": row.name, "role": row.role, "seed": seed, "key": key}
            if seed in values:
                line |= {"status": Status.OK, "reason": "", **values[seed], **_cost(found[row.name][seed])}
            elif (reason := store.failure(key)) is not None:
                line |= {"status": Status.FAILED, "reason": reason}
            else:
                line |= {"status": Status.MISSING, "reason": "not run yet"}
            lines.append(line)
    frame = pd.DataFrame(lines)
    first = ["method", "role", "seed", "status", "reason", *NUMBERS[:-1]]
    for name in (*first, "rte", "rte_shared", "key"):
        if name not in frame:
            frame[name] = np.nan
    last = [c for c in ("rte", *_COSTS) if c in frame]
    middle = [c for c in frame if c not in first and c not in last and c != "key"]
    return frame[[*first, *middle, *last, "key"]]


_COSTS = ("rte_shared", "forward", "backward", "read_forget", "read_retain", "peak_memory_mib")


def histograms(results: Results, store: Store) -> Histograms:
    """Log-odds of the true class on forget, retain and test, all seeds together, of each whole row."""
    found: dict[str, dict[str, np.ndarray[Any, Any]]] = {}
    for row in results.rows:
        records = [store.get(key) for key in row.keys.values()]
        if row.status or not records or any(r is None for r in records):
            continue
        outputs = [r.outputs() for r in records if r]
        found[row.name] = {
            name: np.concatenate([confidence(*o.of(name)) for o in outputs])
            for name in ("forget", "retain", "test")
        }
    return found


def hardware_notes(results: Results, store: Store) -> list[str]:
    """A line for each kind of machine and set of versions that the records were made on."""
    lines: dict[str, None] = {}
    for row in results.all_rows:
        for key in row.keys.values():
            if record := store.get(key):
                e = record.about["environment"]
                where = f", {e['threads']} thread(s) per cell" if e["device"] == "cpu" else ""
                lines[
                    f"Made on: {e['hardware']} ({e['device']}{where}), Python {e['python']}, "
                    f"torch {e['torch']}, mubench {e['mubench']}."
                ] = None
    return list(lines)


def check_writable(out: Path) -> None:
    """Make the output folder before hours of training, not after; UsageError if it cannot be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_atomic(out / ".probe", b"")
        (out / ".probe").unlink()
    except OSError as error:
        raise UsageError(f"the output folder {out} cannot be written: {error.strerror}") from None


def write(results: Results, store: Store, out: Path, cells: pd.DataFrame) -> list[Path]:
    """Tables, cells, manifest and pictures of `cells` into `out`; UsageError if it cannot be written."""
    classes = {label: [asdict(row) for row in rows] for label, rows in results.classes.items()}
    manifest = {
        "title": results.title,
        "mubench": mubench.__version__,
        "notes": results.notes,
        "metrics": results.metrics,
        "rows": [asdict(row) for row in results.rows],
        **({"classes": classes} if classes else {}),
        **{k: v for k, v in results.about.items() if k != "mubench"},
    }
    try:
        write_atomic(out / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
        return [
            out / MANIFEST,
            *render(
                cells,
                histograms(results, store),
                out,
                caption=results.title,
                notes=captions(results, store),
            ),
        ]
    except OSError as error:
        raise UsageError(f"the output folder {out} cannot be written: {error.strerror}") from None


def captions(results: Results, store: Store) -> Sequence[str]:
    """The lines under the table: data, model, hardware."""
    return [*results.notes, *hardware_notes(results, store)]
