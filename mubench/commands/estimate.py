"""How long cells will take, from what was measured before; no method is run.

A cell takes what cells of the same method and setting took. What trains by the recipe (originals and the
reference) takes epochs x images / images per second. Nothing is known of the others.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from mubench.api.model import ModelSpec
from mubench.discovery.find import PACKAGES
from mubench.planning.cell import Cell
from mubench.planning.plan import Plan
from mubench.planning.timing_key import rate_facts, timing_facts
from mubench.running.pulse import Pulse
from mubench.storage.files import key_of
from mubench.storage.store import Store

# `mubench run` measures the rate first if at least this many images are to be trained by the recipe.
LONG_WORK = 1_000_000
MEASURE = """
import sys
from pydantic import TypeAdapter
from mubench.running.speed import Workload, ours, rates
work = TypeAdapter(Workload).validate_json(sys.argv[1])
print(rates(work, {"": ours(work, sys.argv[2])}, rounds=1, seconds=1.0)[""])
"""
MEASURE_LIMIT = 60.0


def _kinds(cells: Sequence[Cell]) -> dict[str, str]:
    """Cell key -> its kind, the same for all cells that take equally long."""
    found: dict[tuple[int, ...], str] = {}
    kinds = {}
    for cell in cells:
        # the cells of a row are made of the same objects, and to hash what they say takes longer
        made_of = (id(cell.setting), id(cell.spec), id(cell.parameters), id(cell.composition))
        if made_of not in found:
            found[made_of] = key_of(timing_facts(cell.setting, cell))
        kinds[cell.key] = found[made_of]
    return kinds


def recipe_images(plan: Plan) -> dict[str, int]:
    """Cell key -> images that its training reads in all epochs, for cells that train by the recipe."""
    splits = [s for block in plan.blocks for s in block.splits.values()]
    retained = {s.digest: len(s.retain) for s in splits}
    seen = splits[0].partition.seen
    epochs = plan.suite.original.epochs
    return {
        cell.key: epochs * (len(seen) if cell.spec is None else retained[cell.split])
        for cell in plan.cells
        if cell.own is None and (cell.spec is None or cell.spec.role == "reference")
    }


def measured_rate(plan: Plan, store: Store) -> float | None:
    """Images a second of training by the recipe on this machine, measured now in about a second.

    None for models of plugins, whose code is not run, and where the measurement fails.
    """
    suite, raw, model = plan.suite, plan.dataset.raw, plan.cells[0].setting.model
    if not model.module.startswith(f"{PACKAGES[ModelSpec]}."):
        return None
    work = {
        "model": asdict(model),
        "shape": raw.images.shape[1:],
        "classes": len(raw.classes),
        "batch_size": suite.batch_size,
        "padding": raw.padding,
        "flip": raw.flip,
        "device": plan.device,
        "threads": suite.threads,
    }
    # in a process of its own: this one needs neither torch nor memory on the device
    command = [sys.executable, "-P", "-c", MEASURE, json.dumps(work), plan.precision]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=MEASURE_LIMIT)
        rate = float(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    with suppress(OSError):  # a store that cannot be written is no reason to forget it now
        store.save_json("rates", key_of(rate_facts(plan.cells[0].setting)), rate)
    return rate


def estimate(
    plan: Plan, missing: Sequence[Cell], store: Store, measure_from: int = 0
) -> dict[str, float | None]:
    """Cell key -> expected seconds, None where nothing is known.

    measure_from: a rate that was never measured is measured now if at least so many images are to be
    trained by the recipe.
    """
    kinds = _kinds(plan.cells)
    timings: dict[str, Any] = {k: store.cached_json("timings", k) or {} for k in set(kinds.values())}
    images = recipe_images(plan)
    open_images = [images[c.key] for c in missing if c.key in images and not timings[kinds[c.key]]]
    rate = next((t["images_per_second"] for t in timings.values() if t.get("images_per_second")), None)
    if rate is None and open_images:
        rate = store.cached_json("rates", key_of(rate_facts(plan.cells[0].setting)))
        if rate is None and sum(open_images) >= measure_from:
            rate = measured_rate(plan, store)

    def seconds(cell: Cell) -> float | None:
        if (measured := timings[kinds[cell.key]].get("seconds")) is not None:
            return float(measured)
        if cell.key in images:
            return images[cell.key] / rate if rate else None
        return 0.0 if cell.spec and cell.spec.role == "baseline" else None  # it is the original, untouched

    return {cell.key: seconds(cell) for cell in missing}


class Forecast:
    """The time left while cells finish; what they take replaces what was expected of their kind."""

    def __init__(self, cells: Sequence[Cell], expected: Mapping[str, float | None], jobs: int) -> None:
        """expected: cell key -> seconds or None; jobs: cells at once."""
        self._kinds = _kinds(cells)
        self._open = set(self._kinds)
        self._left = Counter(self._kinds.values())
        self._expected = {self._kinds[key]: s for key, s in expected.items() if s is not None}
        self._taken: dict[str, tuple[float, int]] = {}  # kind -> seconds of all that finished, and how many
        self.jobs = max(1, jobs)

    @property
    def cells_left(self) -> int:
        """The number of cells that have not finished."""
        return len(self._open)

    def finish(self, cell: Cell, seconds: float | None) -> None:
        """A cell has finished; seconds: what it took, None where that says nothing of others."""
        kind = self._kinds[cell.key]
        if cell.key in self._open:
            self._open.remove(cell.key)
            self._left[kind] -= 1
        if seconds is not None:
            total, count = self._taken.get(kind, (0.0, 0))
            self._taken[kind] = total + seconds, count + 1

    def left_of(self, key: str, pulse: Pulse, now: float) -> float | None:
        """Seconds until a running cell has finished: what is expected of its kind, or by its epochs.

        None where neither says anything, for cells that take longer than expected among others.
        """
        expected = self._known().get(self._kinds[key])
        rest = None if expected is None else expected - (now - pulse.started)
        return rest if rest is not None and rest > 0 else pulse.seconds_left(now)

    def seconds_left(self, running: Mapping[str, Pulse] | None = None, now: float = 0.0) -> float | None:
        """Seconds until all have finished; a cell of an unknown kind counts as the mean of those finished.

        running: cell key -> how far it is, of those that run now. None if nothing has finished yet and a
        kind is unknown.
        """
        running, expected = running or {}, self._known()
        seconds, cells = (sum(column) for column in zip((0.0, 0), *self._taken.values(), strict=True))
        usual = seconds / cells if cells else None
        waiting = self._left - Counter(self._kinds[key] for key in running)
        parts = [
            None if (each := expected.get(kind, usual)) is None else n * each for kind, n in waiting.items()
        ]
        for key, pulse in running.items():
            left, known = self.left_of(key, pulse, now), expected.get(self._kinds[key], usual)
            parts.append(0.0 if left is None and known is not None else left)
        sure = [part for part in parts if part is not None]
        return sum(sure) / self.jobs if len(sure) == len(parts) else None

    def _known(self) -> dict[str, float]:
        """Kind -> seconds: as measured in this run, or else as expected before it."""
        return {**self._expected, **{kind: seconds / n for kind, (seconds, n) in self._taken.items()}}


def total_text(expected: Mapping[str, float | None], jobs: int) -> str:
    """ "about 5 min", "at least 5 min" if the time of some cells is unknown, "an unknown time" if of all."""
    known = [s for s in expected.values() if s is not None]
    unknown = len(expected) - len(known)
    if unknown and not sum(known):
        return "an unknown time"
    text = duration(sum(known) / max(1, jobs))
    return f"at least {text} (unknown for {unknown} of {len(expected)} cells)" if unknown else f"about {text}"


def duration(seconds: float) -> str:
    """ "0.3 s", "12 s", "5 min", "3 h 20 min"."""
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
