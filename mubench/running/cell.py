"""Runs one cell of the table: an original trained, or a method run, timed, checked and recorded."""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mubench.api.classifier import Classifier
from mubench.api.cost import Ledger
from mubench.api.method import MethodSpec, Role
from mubench.api.training import Step, cross_entropy_loss, train
from mubench.discovery.source import source_digest
from mubench.planning.cell import Cell, Stream
from mubench.planning.timing_key import timing_facts
from mubench.running.bench import Bench
from mubench.running.environment import environment
from mubench.running.evaluate import (
    as_json,
    check_logits,
    evaluate,
    predict,
    share_changed,
    unlearned_model,
    weights_of,
)
from mubench.running.own import count_into, own_training, put_together
from mubench.running.parts import Parts
from mubench.running.pulse import Beat
from mubench.running.task import make_set, make_task, streams
from mubench.running.timing import Timed, timed
from mubench.storage.files import key_of
from mubench.storage.store import Store
from mubench.streams import stream_seed


def run(cell: Cell, store: Store, jobs: int = 1, pulse: Path | None = None) -> None:
    """Run one cell and record it; whatever goes wrong is raised.

    jobs: how many cells run at once. pulse: a folder where it keeps a line of how far it is.
    """
    start = perf_counter()
    _set_process_state(cell)
    _check_sources(cell)
    bench = Bench(cell.setting, store)
    spec = cell.spec
    ledger = Ledger(on_epoch=Beat(pulse, cell.key) if pulse else None)
    if spec:
        rate = _run_method(cell, spec, bench, store, jobs, ledger)
    else:
        rate = _run_original(cell, bench, store, jobs, ledger)
    with suppress(OSError):  # an estimate less
        times = {"seconds": perf_counter() - start, "images_per_second": rate}
        store.save_json("timings", key_of(timing_facts(cell.setting, cell)), times)


def _set_process_state(cell: Cell) -> None:
    """Set the number of threads, cuDNN's search for fast kernels, and the global random seeds.

    Results use named streams only; a plugin may draw from the global state, which then is the same each time.
    """
    torch.set_num_threads(cell.setting.threads)
    torch.backends.cudnn.benchmark = True  # shapes repeat; the first steps of each try what is fastest
    seed = stream_seed(cell.seed, cell.stream, "global")
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.random.manual_seed(seed)


def _warm_up(bench: Bench, model: Classifier, images: Tensor, labels: Tensor) -> None:
    """One step that is taken back, so that no method pays for what the first step sets up.

    A compiled model takes one for each size of the batches of an epoch over these images.
    """
    state = {name: value.clone() for name, value in model.state_dict().items()}
    ledger, model.ledger = model.ledger, Ledger()
    n, most = len(labels), min(len(labels), bench.setting.batch_size)
    batches = -(-n // bench.setting.batch_size)
    sizes = {n // batches, -(-n // batches)} if bench.setting.compile else {most}
    for size in sorted(sizes, reverse=True):
        Step(model, cross_entropy_loss, 1e-3)(images[:size].float().div_(255), labels[:size])
    model.ledger = ledger
    model.load_state_dict(state)


def _start(cell: Cell, bench: Bench, store: Store) -> nn.Module:
    """The original that a method starts from; for the reference, which starts anew, an untrained model."""
    model = bench.fresh(cell.seed, Stream.ORIGINAL)
    if cell.original:
        record = store.get(cell.original)
        if record is None:
            raise RuntimeError("the original model is not in the store")
        weights = load_file(record.weights, device=str(bench.device))
        if cell.own:
            empty = own_training(cell, bench, bench.data.partition.seen[:0], "train", Ledger())
            return put_together(empty, weights)
        model.load_state_dict(weights)
    return model


def _check_sources(cell: Cell) -> None:
    """RuntimeError if a plugin's file is not what the cell's key was made for."""
    for spec in cell.specs:
        if source_digest(Path(spec.path)) != spec.source:
            raise RuntimeError(
                f"{spec.path}, or a module it imports, has changed since this run was planned; start it again"
            )


def _facts(cell: Cell, bench: Bench, seconds: float, measured: Timed, ledger: Ledger) -> dict[str, Any]:
    """What every record says of its cell."""
    return {
        "seed": cell.seed,
        "run": cell.stream,
        "dataset": cell.setting.data.dataset.name,
        "cost": {
            "seconds": seconds,
            "shared": measured.shared,
            "read": dict(ledger.reads),
            "forward": ledger.forward,
            "backward": ledger.backward,
            "peak_memory_mib": measured.peak,
        },
        "environment": {**environment(cell.setting.device), "threads": cell.setting.threads},
    }


def _run_original(cell: Cell, bench: Bench, store: Store, jobs: int, ledger: Ledger) -> float | None:
    """Train the original on forget and retain together (not if legacy); no forget set is involved.

    Returns the images trained on a second, if it trains by the recipe.
    """
    seen = bench.data.partition.seen
    data, names = bench.take(seen), streams(cell.seed, cell.stream)
    images = make_set("train", data, names, ledger, **_batches(bench))
    model = bench.fresh(cell.seed, cell.stream)
    model.ledger = ledger
    _warm_up(bench, model, *data)
    own = own_training(cell, bench, seen, "train", ledger) if cell.own else None
    work = own or partial(train, model, images, cell.setting.recipe)
    measured = timed(work, bench.device, jobs)
    seconds = measured.seconds - (own.aside_seconds if own else 0)
    facts = _facts(cell, bench, seconds, measured, ledger)
    trained = unlearned_model(measured.result, model)
    check_logits(predict(trained, data[0])[0], len(bench.classes), "on the training images")
    about = {"method": None, **facts, "notes": as_json(own.notes) if own else {}}
    about |= {"own": cell.own.about} if cell.own else {}
    store.put(cell.key, about, {}, weights_of(trained))
    return None if own else ledger.backward / measured.seconds


def _batches(bench: Bench) -> Mapping[str, Any]:
    return {"batch_size": bench.setting.batch_size, "augmentation": bench.data.augmentation}


def _run_method(
    cell: Cell, spec: MethodSpec, bench: Bench, store: Store, jobs: int, ledger: Ledger
) -> float | None:
    """Run a method on the original of its seed; returns images a second if it trains by the recipe."""
    split = bench.split(cell.seed)
    if split.digest != cell.split:
        raise RuntimeError("the images to forget have changed since this run was planned; start it again")
    model = _start(cell, bench, store)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    count_into(model, ledger)
    sees = cell.composition.sees(spec)
    task = make_task(
        replace(spec, sees=sees),
        bench.sets(split, sees),
        streams(cell.seed, cell.stream),
        lambda number: bench.fresh(cell.seed, cell.stream, number),
        num_classes=len(bench.classes),
        device=bench.device,
        recipe=cell.setting.recipe,
        ledger=ledger,
        ids={name: torch.from_numpy(getattr(split, name)) for name in sees},
        **_batches(bench),
    )
    retrains = cell.own and spec.role is Role.REFERENCE
    work = own_training(cell, bench, split.retain, "retain", ledger) if retrains else Parts(cell, spec, task)
    warm = model if isinstance(model, Classifier) else bench.fresh(cell.seed, cell.stream)
    for name in ("retain", *(set(sees) - {"retain"} if cell.setting.compile else ())):
        _warm_up(bench, warm, *bench.take(getattr(split, name)))
    measured = timed(lambda: work(model), bench.device, jobs)
    seconds = measured.seconds - work.aside_seconds
    facts = _facts(cell, bench, seconds, measured, ledger)
    unlearned = unlearned_model(measured.result, model)
    about = {
        "method": spec.name,
        "parameters": cell.parameters,
        **cell.composition.about,
        **({"own": cell.own.about} if cell.own else {}),
        **facts,
        "original": cell.original,
        "forgotten": split.forgotten,
        "split": split.manifest(),
        "changed": share_changed(weights, unlearned),
        "notes": as_json(work.notes),
    }
    store.put(cell.key, about, evaluate(bench, unlearned, split))
    return ledger.backward / seconds if spec.role is Role.REFERENCE and not cell.own else None
