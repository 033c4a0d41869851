"""A folder of results: the manifest of a plan, and the files of a rendering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mubench.api.method import SetSeen
from mubench.errors import UsageError
from mubench.planning.plan import Block, Plan
from mubench.planning.rows import TableRow
from mubench.planning.splits import Partition, Split
from mubench.planning.suite import Suite, parse_set
from mubench.reporting import histograms
from mubench.reporting.histograms import Histograms
from mubench.reporting.manifest import Manifest, manifest_rows
from mubench.reporting.plots.shown import Width
from mubench.reporting.render import Report, write_plots, write_tables
from mubench.storage.files import write_atomic


def from_plan(plan: Plan, name: str, overrides: Mapping[str, Any]) -> Manifest:
    """The manifest of a planned suite, run or not.

    name: the suite's. overrides: what the command changed in it, and its profile.
    """
    suite, first = plan.suite, plan.blocks[0]
    split = next(iter(first.splits.values()))
    title = f"{suite.title} (LEGACY SPLIT, not comparable)" if suite.split != "clean" else suite.title
    counts = f"{len(split.train)} train, {len(split.val)} validation, {len(split.test)} test"
    recipe = suite.original
    steps = f", lr divided at {recipe.milestones}" if recipe.milestones else ""
    steps += ", along a half cosine" if recipe.schedule == "cosine" else ""
    steps += f", after {recipe.warmup} epochs of warm-up" if recipe.warmup else ""
    notes = [
        *_legacy_note(plan, split.partition),
        *([f"Profile: {overrides['profile']}."] if "profile" in overrides else []),
        *([f"Changed by the command: {', '.join(overrides['set'])}."] if overrides.get("set") else []),
        f"Data: {plan.dataset.title}; {counts} images; {_to_forget(plan.blocks)} to forget.",
        f"Model: {suite.model}, {recipe.epochs} epochs of SGD at lr {recipe.lr:g}{steps}; "
        f"batch {suite.batch_size}; {plan.precision}; seeds {', '.join(map(str, suite.seeds))}.",
        *_tuning_notes(suite, first.rows, overrides),
        *(words for variant in suite.variants if (words := variant.words)),
        *_validation_note(plan),
        *suite.notes,
    ]
    rows = {block.label: manifest_rows(block.rows) for block in plan.blocks}
    splits = {block.label: _splits(block.splits) for block in plan.blocks}
    facts = {
        "title": title,
        "notes": notes,
        "metrics": suite.metrics,
        "margin": suite.margin,
        "headline": suite.headline,
        "rows": rows.get("", []),
        "classes": {} if "" in rows else rows,
        "suite": name,
        "overrides": dict(overrides),
        "paper": suite.paper,
        "resolved": suite.model_dump(by_alias=True, exclude={"notes"}),
        "data": {"name": plan.dataset.name, "sha256": plan.dataset.digest},
        "splits": splits.get("", splits),
    }
    return Manifest.model_validate(facts)


def _splits(splits: Mapping[int, Split]) -> dict[str, Any]:
    return {str(seed): {"digest": s.digest, **s.manifest()} for seed, s in splits.items()}


def _to_forget(blocks: Sequence[Block]) -> str:
    """How many images: forget sets of all seeds are of one size, those of classes need not be."""
    sizes = sorted({len(next(iter(splits.values())).forget) for splits in (block.splits for block in blocks)})
    count = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    return f"each of the {len(blocks)} classes in turn, {count}" if blocks[0].label else count


def _tuning_notes(suite: Suite, rows: Sequence[TableRow], overrides: Mapping[str, Any]) -> list[str]:
    """How the hyper-parameters were found, and of which rows that is not true.

    Tuned are the methods whose parameters a tuned file or the suite's file gives: not variants, not plugins
    or other rows at their defaults, and not what the command changed.
    """
    file = overrides.get("tuned", {"methods": {}})
    if not (suite.tuning or file["methods"]):
        return []
    changed = {name for text in overrides.get("set", ()) for name in parse_set(text).get("methods", {})}
    found, untuned, others = [], [], False
    for row in (row for row in rows if row.role == "method"):
        if row.name in changed:
            untuned.append(f"{row.name} (--set)")
        elif row.name in file["methods"]:
            found.append(row.name)
        elif suite.tuning and suite.methods.get(row.name):
            others = True
        else:
            untuned.append(row.name)
    lines = [f"Hyper-parameters of {', '.join(found)}: {file['file']}, {file['how']}."] if found else []
    if others or (suite.tuning and not found):
        lines.append(f"Hyper-parameters{' of the other rows' if found else ''}: {suite.tuning}")
    if untuned:
        lines[-1:] = [" ".join([*lines[-1:], f"Not tuned: {', '.join(untuned)}."])]
    return lines


def _validation_note(plan: Plan) -> list[str]:
    """Which rows read validation images, which the others do not."""
    read = {c.key for c in plan.cells if c.spec and SetSeen.VAL in c.composition.sees(c.spec)}
    rows = [row.name for row in plan.blocks[0].rows if read & {*row.keys.values()}]
    return [f"Reads validation images too: {', '.join(rows)}."] if rows else []


def _legacy_note(plan: Plan, parts: Partition) -> list[str]:
    """How far a legacy split's original is off, loudly: its rows look as if they forgot something."""
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


def check_writable(out: Path) -> None:
    """Make the output folder before hours of training, not after; UsageError if it cannot be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_atomic(out / ".probe", b"")
        (out / ".probe").unlink()
    except OSError as error:
        raise UsageError(f"the output folder {out} cannot be written: {error.strerror}") from None


def write(
    manifest: Manifest, report: Report, scores: Histograms, out: Path, width: Width = "screen"
) -> list[Path]:
    """Write manifest, tables, cells, histograms and pictures; UsageError if `out` cannot be written."""
    try:
        return [*write_numbers(manifest, report, scores, out), *write_plots(report, scores, out, width)]
    except OSError as error:
        raise UsageError(f"the output folder {out} cannot be written: {error.strerror}") from None


def write_numbers(manifest: Manifest, report: Report, scores: Histograms, out: Path) -> list[Path]:
    """Write all but the pictures; OSError if `out` cannot be written."""
    written = [manifest.write(out), *write_tables(report, out)]
    if scores:
        keys = {row.name: list(row.keys.values()) for row in manifest.rows}
        written.append(histograms.save(scores, keys, out))
    return written
