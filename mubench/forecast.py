"""How long a run will take: every method rehearsed on a stand-in, and this machine measured shortly.

A rehearsal runs the method itself, on a tiny linear model and images of one pixel, and counts what
passes through it: plugins need not declare their cost. It happens in a process of its own, because a
method may do anything.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import mubench
from mubench.cell import CELL, Cell
from mubench.plugin import Card
from mubench.store import Store, key_of

if TYPE_CHECKING:
    from mubench.harness import Plan

# A rehearsal has about this many images: passes grow in proportion to the sets.
STAND_IN = 2048
PATIENCE = 180.0
HOUR = 3600.0
SMALL = ("small-cnn", "resnet8", "resnet20")


@dataclass(frozen=True)
class Forecast:
    """seconds: by cell key, what it will take alone; samples_per_second: forward and backward.

    after: cell key -> key of the original that it waits for.
    """

    samples_per_second: float
    seconds: dict[str, float]
    jobs: int
    after: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """Seconds for all cells, `jobs` at once, but never less than an original and a cell after it."""
        chains = [self.seconds.get(self.after.get(key, ""), 0.0) + own for key, own in self.seconds.items()]
        return max([sum(self.seconds.values()) / max(1, self.jobs), *chains])


def duration(seconds: float) -> str:
    """Seconds as a person says them: 42 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def advice(expected: Forecast | None, device: str, profiles: Sequence[str], profile: str | None) -> str:
    """What `run` says before it starts."""
    if expected is None:
        return "How long it takes could not be found out."
    text = f"About {duration(expected.total)} ({expected.samples_per_second:,.0f} samples/s in training)."
    if device == "cpu" and expected.total > HOUR and "small" in profiles and profile != "small":
        text += " For a first look on a CPU, try --profile small."
    return text


def worthwhile(plan: Plan, missing: Sequence[Cell]) -> bool:
    """Whether a run takes so long (a minute or more, roughly) that the forecast's own seconds are little.

    A small network trains on about a million values of pixels a second and core, a large one on a tenth.
    """
    raw = plan.dataset.raw
    images, pixels = int((~raw.test).sum()), int(np.prod(raw.images.shape[1:]))
    weight = 1 if plan.suite.model in SMALL else 10
    return len(missing) * plan.suite.original.epochs * images * pixels * weight > 3e8


def forecast(plan: Plan, missing: Sequence[Cell], store: Store, jobs: int) -> Forecast | None:
    """The expected time of `missing`; None if it could not be found out."""
    if not missing:
        return Forecast(0.0, {}, jobs)
    raw = plan.dataset.raw
    splits = {
        key: part.splits[seed] for part in plan.parts for row in part.rows for seed, key in row.keys.items()
    }
    first = {seed: split for part in plan.parts for seed, split in part.splits.items()}
    sizes = {
        cell.key: {
            name: len(getattr(splits.get(cell.key, first[cell.seed]), name))
            for name in ("forget", "retain", "val", "test")
        }
        for cell in missing
    }
    question = {
        "cells": [CELL.dump_json(cell, by_alias=True).decode() for cell in missing],
        "sizes": sizes,
        "shape": list(raw.images.shape[1:]),
        "classes": plan.dataset.num_classes,
        "padding": raw.padding,
        "flip": raw.flip,
        "store": str(store.root),
    }
    command = [sys.executable, "-P", "-m", "mubench.forecast"]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
    try:
        # a session of its own, so that whatever a method starts ends with it
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True, **pipes) as child:
            try:
                said, _ = child.communicate(json.dumps(question).encode(), timeout=PATIENCE)
            except KeyboardInterrupt:
                child.terminate()  # it takes back that the rehearsal under way has failed
                with suppress(subprocess.TimeoutExpired):
                    child.wait(1)
                raise
            finally:
                _end(child)
        answer = json.loads(said)
        after = {cell.key: cell.original for cell in missing}
        return Forecast(answer["samples_per_second"], answer["seconds"], jobs, after)
    except (OSError, ValueError, KeyError, subprocess.SubprocessError):
        return None


def _end(child: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):  # it has ended by itself
        if sys.platform == "win32":
            child.kill()
        else:
            os.killpg(child.pid, signal.SIGKILL)


def units(forward: float, backward: float) -> float:
    """Cost units: a sample forward and backward is one, forward alone a third."""
    return forward / 3 + 2 * backward / 3


def rehearse(cell: Cell, sizes: dict[str, int], classes: int) -> float | None:
    """The method's cost units, found by running it on a stand-in; None if it does not run there.

    Large sets are rehearsed at two smaller sizes: what grows with them is told from what does not.
    """
    everything = sizes["forget"] + sizes["retain"]
    if cell.card is None:
        return float(cell.setting.recipe.epochs * everything)
    most = _rehearsed(cell, cell.card, sizes, classes, scale := max(1, everything // STAND_IN))
    if most is None or scale == 1:
        return most and most[0]
    least = _rehearsed(cell, cell.card, sizes, classes, 2 * scale)
    if least is None or most[1] == least[1]:
        return None
    slope = (most[0] - least[0]) / (most[1] - least[1])
    return max(0.0, most[0] + slope * (everything - most[1]))


def _rehearsed(
    cell: Cell, card: Card, sizes: dict[str, int], classes: int, scale: int
) -> tuple[float, int] | None:
    """(cost units, images in both sets) of one rehearsal with sets `scale` times smaller."""
    import torch
    from torch import nn

    from mubench.data.batches import Augmentation, ImageSet
    from mubench.ledger import Ledger
    from mubench.models.classifier import Classifier
    from mubench.registry import load_function
    from mubench.task import Task

    ledger, flat = Ledger(), torch.full((1,), 0.5)
    counts = {name: max(1, sizes[name] // scale) for name in ("forget", "retain")}

    def model() -> Classifier:
        # features have a weight too: passes through them alone count
        made = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(1, 2)), 2, classes, flat, flat)
        made.ledger = ledger
        return made.train()

    def images(name: str) -> ImageSet:
        rng = torch.Generator().manual_seed(0)
        n = counts[name]
        return ImageSet(
            name,
            torch.randint(256, (n, 1, 1, 1), generator=rng, dtype=torch.uint8),
            torch.arange(n) % classes,
            batch_size=cell.setting.batch_size,
            augmentation=Augmentation(),
            order=rng,
            noise=rng,
            ledger=ledger,
        )

    task = Task(
        card,
        {name: images(name) for name in card.sees},
        num_classes=classes,
        device=torch.device("cpu"),
        rng=torch.Generator().manual_seed(0),
        recipe=cell.setting.recipe,
        fresh=model,
        ledger=ledger,
    )
    try:
        load_function(card)(model(), task, **(cell.parameters or {}))
    except (Exception, SystemExit):  # the run itself will say what is wrong
        return None
    return units(ledger.forward, ledger.backward), sum(counts.values())


def _take_back(store: Store, key: str, *_: object) -> None:
    """Whoever waits was interrupted: that says nothing of the method."""
    store.drop_json("rehearsals", key)
    os._exit(1)


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    import torch

    from mubench.speed import Workload, ours, rates

    cells = [CELL.validate_json(c) for c in question["cells"]]
    store, sizes = Store(Path(question["store"])), question["sizes"]
    torch.set_num_threads(1)
    found: dict[str, float | None] = {}
    for cell in cells:
        own = sizes[cell.key]
        made_by = [cell.card.source, cell.card.function] if cell.card else "original"
        recipe = cell.setting.recipe.model_dump()
        facts = [
            mubench.NUMERICS,
            made_by,
            cell.parameters,
            recipe,
            own,
            cell.setting.batch_size,
            question["classes"],
        ]
        key = key_of({"rehearsal": facts})
        saved = store.cached_json("rehearsals", key)
        if saved is None:
            before = signal.signal(signal.SIGTERM, partial(_take_back, store, key))
            store.save_json("rehearsals", key, "failed")  # one that never ends is not tried again
            saved = rehearse(cell, own, question["classes"])
            if saved is not None:
                store.save_json("rehearsals", key, saved)
            signal.signal(signal.SIGTERM, before)
        found[cell.key] = saved if isinstance(saved, float) else None
    known = [u for u in found.values() if u is not None]
    usual = sum(known) / len(known) if known else 0.0
    setting = cells[0].setting
    work = Workload(
        setting.model,
        tuple(question["shape"]),
        question["classes"],
        # small batches tell enough on a CPU, where a step of a large network takes seconds
        min(setting.batch_size, 64) if setting.device == "cpu" else setting.batch_size,
        question["padding"],
        question["flip"],
        setting.device,
        setting.threads,
    )
    rate = rates(work, {"": ours(work, setting.precision)}, rounds=3, seconds=0.5)[""]
    seconds = {}
    for cell in cells:
        evaluated = sum(sizes[cell.key].values()) if cell.card else 0
        alone = found[cell.key]
        seconds[cell.key] = ((usual if alone is None else alone) + units(evaluated, 0)) / rate
    return {"samples_per_second": rate, "seconds": seconds}


def main() -> None:
    """Answer the question on stdin; what a method prints goes to stderr."""
    reply = os.dup(1)
    os.dup2(2, 1)
    text = json.dumps(_answer(json.load(sys.stdin)))
    os.write(reply, text.encode())


if __name__ == "__main__":
    main()
