"""Runs one cell of the table: an original trained, or a method run, timed, checked and recorded."""

from __future__ import annotations

import copy
import gc
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mubench.api.classifier import Classifier
from mubench.api.cost import Ledger
from mubench.api.method import MethodSpec
from mubench.api.task import Task
from mubench.api.training import Step, cross_entropy_loss, train
from mubench.discovery.find import load_function
from mubench.discovery.source import source_digest
from mubench.planning.cell import Cell
from mubench.running.bench import Bench, bench_for
from mubench.running.environment import environment
from mubench.running.evaluate import _checked, _plain, evaluate, weights_of
from mubench.running.forks import no_forks
from mubench.running.presence import Presence
from mubench.storage.store import Record, Store
from mubench.streams import stream_seed


def _reset(cell: Cell) -> None:
    """No result of ours needs global random state; a plugin's may, so it starts the same way too."""
    torch.set_num_threads(cell.setting.threads)
    torch.backends.cudnn.benchmark = True  # shapes repeat; the first steps of each try what is fastest
    seed = stream_seed(cell.seed, cell.stream, "global")
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.random.manual_seed(seed)


def _warm_up(bench: Bench, model: Classifier, images: Tensor, labels: Tensor) -> None:
    """One throw-away step on a copy, so that no method pays for what the first step sets up."""
    ledger, model.ledger = model.ledger, Ledger()
    twin = copy.deepcopy(model)
    model.ledger = ledger
    size = bench.setting.batch_size
    Step(twin, cross_entropy_loss, 1e-3)(images[:size].float().div_(255), labels[:size])


def _load_original(bench: Bench, record: Record, seed: int) -> Classifier:
    from safetensors.torch import load_file

    model = bench.fresh(seed, "original")
    model.load_state_dict(load_file(record.weights))
    return model


def _timed(bench: Bench, work: Callable[[], Any]) -> tuple[Any, float, float | None]:
    """(result, seconds, peak MiB on CUDA) of the work alone, the device synchronised on both sides."""
    cuda = bench.device.type == "cuda"
    bench.synchronise()
    if cuda:
        gc.collect()  # what earlier cells left in cycles is not this one's
        torch.cuda.reset_peak_memory_stats(bench.device)
    start = time.perf_counter()
    result = work()
    bench.synchronise()
    seconds = time.perf_counter() - start
    peak = torch.cuda.max_memory_allocated(bench.device) / 2**20 if cuda else None
    return result, seconds, peak


def run(cell: Cell, store: Store) -> None:
    """Run one cell and record it; whatever goes wrong is raised."""
    _reset(cell)
    bench = bench_for(cell.setting, store)
    if cell.spec is None:
        _run_original(cell, bench, store)
    else:
        _run_method(cell, cell.spec, bench, store)


def _about(
    cell: Cell, bench: Bench, seconds: float, shared: bool, peak: float | None, ledger: Ledger
) -> dict[str, Any]:
    return {
        "seed": cell.seed,
        "run": cell.stream,
        "cost": {
            "seconds": seconds,
            "shared": shared,
            "read": ledger.reads,
            "forward": ledger.forward,
            "backward": ledger.backward,
            "peak_memory_mib": peak,
        },
        "environment": {**environment(bench.device), "threads": cell.setting.threads},
    }


def _run_original(cell: Cell, bench: Bench, store: Store) -> None:
    """Train the original on forget and retain together (not if legacy); no forget set is involved."""
    ledger = Ledger()
    indices = bench.train if bench.original is None else bench.original
    images = bench.image_set("train", indices, cell.seed, cell.stream, ledger)
    model = bench.fresh(cell.seed, cell.stream)
    model.ledger = ledger
    _warm_up(bench, model, *bench.take(indices))
    with Presence(store.root) as others:
        _, seconds, peak = _timed(bench, lambda: train(model, images, cell.setting.recipe))
    _checked(None, model, bench.images, len(bench.classes))
    shared = cell.shared or others.disturbed
    about = {"method": None, **_about(cell, bench, seconds, shared, peak, ledger), "notes": {}}
    store.put(cell.key, about, {}, weights_of(model))


def _run_method(cell: Cell, spec: MethodSpec, bench: Bench, store: Store) -> None:
    record = store.get(cell.original)
    if record is None:
        raise RuntimeError("the original model is not in the store")
    split = bench.split(cell.seed)
    if split.digest != cell.split:
        raise RuntimeError("the images to forget have changed since this run was planned; start it again")
    if source_digest(Path(spec.path)) != spec.source:
        raise RuntimeError(
            f"{spec.path}, or a module it imports, has changed since this run was planned; start it again"
        )
    ledger = Ledger()

    def fresh() -> Classifier:
        blank = bench.fresh(cell.seed, cell.stream)
        blank.ledger = ledger
        return blank

    model = _load_original(bench, record, cell.seed)
    model.ledger = ledger
    task = Task(
        spec,
        {
            name: bench.image_set(name, getattr(split, name), cell.seed, cell.stream, ledger)
            for name in spec.sees
        },
        num_classes=len(bench.classes),
        device=bench.device,
        rng=bench.generator(bench.device, cell.seed, cell.stream, "method"),
        recipe=cell.setting.recipe,
        fresh=fresh,
        ledger=ledger,
    )
    function = load_function(spec)
    _warm_up(bench, model, *bench.take(split.retain))
    with Presence(store.root) as others, no_forks():
        result, seconds, peak = _timed(bench, lambda: function(model, task, **(cell.parameters or {})))
    cost = copy.copy(ledger)
    cost.reads = dict(ledger.reads)
    unlearned = _checked(result, model, bench.images, len(bench.classes))
    about = {
        "method": spec.name,
        "parameters": cell.parameters,
        **_about(cell, bench, seconds - task.aside_seconds, cell.shared or others.disturbed, peak, cost),
        "original": cell.original,
        "forgotten": split.forgotten,
        "split": split.manifest(),
        "notes": _plain(task.notes),
    }
    store.put(cell.key, about, evaluate(bench, unlearned, split))
