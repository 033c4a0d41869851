"""Predicts how long the five suites of the paper take with ten seeds each, on one and on many GPUs.

What a cell does is measured: the samples that its ledger counted in a run of the very suite on small images
(see `LEDGERS`), per training image, and what a sample of its row costs beside one of Retrain's, in published
cells. What a sample costs on a GPU, and a cell beside its samples, is an aim until somebody measures it.
"""

from __future__ import annotations

import csv
import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click

from mubench.commands.estimate import duration
from mubench.commands.request import Request, keys_by_row, prepare
from mubench.planning.cell import Cell
from mubench.planning.plan import Plan
from mubench.storage.store import Store

SUITES = (
    "cifar10-random-10",
    "cifar10-random-50",
    "cifar100-random-10",
    "cifar100-random-50",
    "cifar10-class",
)
# mubench run --suite SUITE --first-seeds 1 --store STORE, and these words
LEDGERS = ("dataset=digits", "model=shallow-mlp")
PUBLISHED = Path("results") / "published" / "cifar10-random-10-small" / "cells.csv"
IMAGES = 45_000  # training images of the suites' CIFAR
SEEDS = 10


def makespan(cells: Sequence[Cell], seconds: Mapping[str, float], workers: int) -> float:
    """Seconds until all cells have ended; each starts in its turn, when its original is there."""
    own = {cell.key for cell in cells}
    waiting: dict[str, list[int]] = defaultdict(list)
    ready: list[int] = []
    for i, cell in enumerate(cells):
        (waiting[cell.original] if cell.original in own else ready).append(i)
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < workers:
            i = heapq.heappop(ready)
            heapq.heappush(running, (now + seconds[cells[i].key], i))
        now, ended = heapq.heappop(running)
        for i in waiting.pop(cells[ended].key, ()):
            heapq.heappush(ready, i)
    return now


def full_samples(cost: Mapping[str, float]) -> float:
    """A ledger's passes in samples that go both ways; a pass backward costs two forward."""
    return (cost["forward"] + 2 * cost["backward"]) / 3


def weights(cells: Path = PUBLISHED) -> dict[str, float]:
    """Row -> seconds of one of its full samples, as multiples of one of Retrain's, from measured cells."""
    totals: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    with cells.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["status"] == "ok":
                work = full_samples({"forward": float(row["forward"]), "backward": float(row["backward"])})
                totals[row["method"]][0] += float(row["rte"])
                totals[row["method"]][1] += work
    own = totals["Retrain"][0] / totals["Retrain"][1]
    return {name: took / work / own for name, (took, work) in totals.items() if work}


def _plan(suite: str, store: Store, *changes: str) -> Plan:
    return prepare(Request(suite, store, set_options=(*LEDGERS, *changes), device="cpu", precision="fp32"))


def samples_of_rows(suite: str, store: Store) -> dict[str, float]:
    """Row -> full samples of a recorded cell, per training image, weighted as `weights` says."""
    plan, factor = _plan(suite, store), weights()
    images = len(plan.blocks[0].splits[plan.suite.seeds[0]].partition.seen)
    found = {}
    for name, keys in keys_by_row(plan).items():
        row = next((r.name for r in plan.rows if r.keys == keys), name)
        record = store.get(keys[min(keys)])
        if record is not None:
            found[name] = full_samples(record.about["cost"]) * factor.get(row, 1.0) / images
    return found


def predict(suite: str, store: Store, rate: float, fixed: float) -> tuple[Plan, dict[str, float]]:
    """The plan of a suite with ten seeds, and key -> seconds of each cell at `rate` samples a second."""
    samples = samples_of_rows(suite, store)
    plan = _plan(suite, store, f"seeds={[*range(SEEDS)]}")
    seconds = {}
    for name, keys in keys_by_row(plan).items():
        # a further Retrain, and every class of the ten, costs what the first does
        alike = samples.get(name) or samples.get(name.replace(" (again)", ""), 0.0)
        for key in keys.values():
            seconds[key] = alike * IMAGES / rate + fixed
    return plan, seconds


@click.command()
@click.option("--store", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--rate", type=float, default=60_000, help="Samples of Retrain a second on one GPU.")
@click.option("--fixed", type=float, default=10, help="Seconds of a cell beside its samples.")
@click.option("--workers", type=int, multiple=True, default=(1, 8, 64))
def main(store: Path, rate: float, fixed: float, workers: Sequence[int]) -> None:
    """Print the table of docs/scale.md."""
    kept, done = Store(store), set[tuple[str, str]]()
    totals, hours, count = [0.0] * len(workers), 0.0, 0
    click.echo(
        f"| Suite, {SEEDS} seeds | Cells | GPU hours | " + " | ".join(f"{n} GPUs" for n in workers) + " |"
    )
    click.echo("| :-- | --: | --: |" + " --: |" * len(workers))
    for suite in SUITES:
        plan, seconds = predict(suite, kept, rate, fixed)
        data = suite.partition("-")[0]  # suites of the same images share their originals
        cells = [c for c in plan.cells if (data, c.key) not in done]
        done |= {(data, c.key) for c in cells}
        own = {c.key for c in cells}
        cells = [c if c.original in own else replace(c, original="") for c in cells]
        spans = [makespan(cells, seconds, n) for n in workers]
        work = sum(seconds[c.key] for c in cells) / 3600
        click.echo(f"| `{suite}` | {len(cells):,} | {work:.1f} | " + " | ".join(map(duration, spans)) + " |")
        totals = [a + b for a, b in zip(totals, spans, strict=True)]
        hours, count = hours + work, count + len(cells)
    click.echo(
        f"| all, in this order | {count:,} | {hours:.1f} | " + " | ".join(map(duration, totals)) + " |"
    )


if __name__ == "__main__":
    main()
