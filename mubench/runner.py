"""Runs one cell of the table: an original trained, or a method run, timed, checked and recorded."""

from __future__ import annotations

import copy
import gc
import json
import math
import random
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mubench.cell import SETTING, Cell, Setting
from mubench.data import Dataset, Split, forget_indices, load_dataset, make_sets
from mubench.data.batches import Augmentation, ImageSet
from mubench.environment import environment
from mubench.forks import no_forks
from mubench.ledger import Ledger
from mubench.models.classifier import Classifier, build
from mubench.outputs import SETS
from mubench.plugin import Card
from mubench.presence import Presence
from mubench.registry import load_function, source_digest
from mubench.store import Record, Store
from mubench.streams import stream_seed
from mubench.task import Task
from mubench.training import Step, cross_entropy_loss, predict, train

# Penultimate features are kept of this many fixed forget and retain images.
FEATURES = 500


class Bench:
    """The data of a setting on its device, and the models and tasks made from it."""

    def __init__(self, setting: Setting, store: Store) -> None:
        """Load the data; what depends on the seed is made later."""
        self.setting = setting
        self.device = torch.device(setting.device)
        data: Dataset = load_dataset(setting.dataset, setting.data, store.root / "data", verify=True)
        if data.digest != setting.data_digest:
            raise RuntimeError("the data have changed since this run was planned; start it again")
        raw = data.raw
        self.classes = raw.classes
        self.images = torch.from_numpy(np.array(raw.images)).to(self.device)
        self.labels_np = np.array(raw.labels)
        self.labels = torch.from_numpy(self.labels_np).to(self.device)
        self.train, self.val, self.test, self.original = make_sets(
            setting.split, self.labels_np, raw.test, setting.val_percent, raw.classes
        )
        self.augmentation = Augmentation(raw.padding, raw.flip)
        # Of validation images, which nobody is asked to forget: else the forget set would reach Retrain
        # through its normalisation. float64 sums on the CPU: the same on every device.
        seen = np.asarray(raw.images[self.val], dtype=np.float64) / 255
        self.mean = torch.tensor(seen.mean((0, 2, 3)), dtype=torch.float32)
        self.std = torch.tensor(seen.std((0, 2, 3)).clip(1e-3), dtype=torch.float32)

    def split(self, seed: int) -> Split:
        """The split with forget set `seed`."""
        forget, forgotten = forget_indices(
            self.setting.forget, self.train, self.labels_np, self.classes, seed
        )
        return Split(self.train, self.val, self.test, forget, forgotten, self.original)

    def take(self, indices: np.ndarray[Any, Any]) -> tuple[Tensor, Tensor]:
        """(images uint8, labels) of these dataset indices."""
        rows = torch.from_numpy(indices).to(self.device)
        return self.images[rows], self.labels[rows]

    def generator(self, device: str | torch.device, seed: int, *names: str) -> torch.Generator:
        """The named stream's generator."""
        return torch.Generator(device=device).manual_seed(stream_seed(seed, *names))

    def image_set(
        self, name: str, indices: np.ndarray[Any, Any], seed: int, run: str, ledger: Ledger
    ) -> ImageSet:
        """A set with order and augmentation streams of its own."""
        images, labels = self.take(indices)
        return ImageSet(
            name,
            images,
            labels,
            batch_size=self.setting.batch_size,
            augmentation=self.augmentation,
            order=self.generator("cpu", seed, run, "order", name),
            noise=self.generator(self.device, seed, run, "augmentation", name),
            ledger=ledger,
        )

    def fresh(self, seed: int, run: str) -> Classifier:
        """A newly initialised model on the device, in train mode."""
        rng = self.generator("cpu", seed, run, "init")
        model = build(self.setting.model, len(self.classes), self.mean, self.std, rng).to(self.device)
        if self.setting.precision == "bf16":
            model.autocast = torch.bfloat16
        return model.train()

    def synchronise(self) -> None:
        """Wait until the device has done all it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


@lru_cache(maxsize=2)
def _bench(setting_json: str, root: Path) -> Bench:
    return Bench(SETTING.validate_json(setting_json), Store(root))


def bench_for(setting: Setting, store: Store) -> Bench:
    """The bench of a setting, kept between cells of one process."""
    return _bench(SETTING.dump_json(setting, by_alias=True).decode(), store.root)


def _reset(cell: Cell) -> None:
    """No result of ours needs global random state; a plugin's may, so it starts the same way too."""
    torch.set_num_threads(cell.setting.threads)
    torch.backends.cudnn.benchmark = True  # shapes repeat; the first steps of each try what is fastest
    seed = stream_seed(cell.seed, cell.run, "global")
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


def _checked(result: Any, model: nn.Module, images: Tensor, classes: int) -> nn.Module:
    """The unlearned model, or an error that says what a method returned instead."""
    unlearned = model if result is None else result
    if not isinstance(unlearned, nn.Module):
        raise TypeError(f"the method returned {type(result).__name__}, not a module (or nothing)")
    for name, value in [*unlearned.named_parameters(), *unlearned.named_buffers()]:
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise FloatingPointError(f"{name} holds NaN or infinite values after unlearning")
    logits, _ = predict(unlearned, images[:1])
    if logits.shape != (1, classes):
        raise ValueError(f"the unlearned model returns {logits.shape[-1]} logits, not {classes}")
    return unlearned


def evaluate(bench: Bench, model: nn.Module, split: Split) -> dict[str, np.ndarray[Any, Any]]:
    """Logits and labels of every set, and features of fixed forget and retain images."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for name in SETS:
        images, labels = bench.take(getattr(split, name))
        logits, features = predict(model, images)
        arrays[f"logits.{name}"] = logits.numpy()
        arrays[f"labels.{name}"] = labels.cpu().numpy()
        if name in ("forget", "retain") and features is not None:
            arrays[f"features.{name}"] = features[:FEATURES].numpy()
    return arrays


def weights_of(model: nn.Module) -> dict[str, np.ndarray[Any, Any]]:
    """All parameters and buffers as float32 (or integer) arrays."""
    return {name: value.detach().cpu().numpy() for name, value in model.state_dict().items()}


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
    if cell.card is None:
        _run_original(cell, bench, store)
    else:
        _run_method(cell, cell.card, bench, store)


def _about(
    cell: Cell, bench: Bench, seconds: float, shared: bool, peak: float | None, ledger: Ledger
) -> dict[str, Any]:
    return {
        "seed": cell.seed,
        "run": cell.run,
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
    images = bench.image_set("train", indices, cell.seed, cell.run, ledger)
    model = bench.fresh(cell.seed, cell.run)
    model.ledger = ledger
    _warm_up(bench, model, *bench.take(indices))
    with Presence(store.root) as others:
        _, seconds, peak = _timed(bench, lambda: train(model, images, cell.setting.recipe))
    _checked(None, model, bench.images, len(bench.classes))
    shared = cell.shared or others.disturbed
    about = {"method": None, **_about(cell, bench, seconds, shared, peak, ledger), "notes": {}}
    store.put(cell.key, about, {}, weights_of(model))


def _run_method(cell: Cell, card: Card, bench: Bench, store: Store) -> None:
    record = store.get(cell.original)
    if record is None:
        raise RuntimeError("the original model is not in the store")
    split = bench.split(cell.seed)
    if split.digest != cell.split:
        raise RuntimeError("the images to forget have changed since this run was planned; start it again")
    if source_digest(Path(card.path)) != card.source:
        raise RuntimeError(
            f"{card.path}, or a module it imports, has changed since this run was planned; start it again"
        )
    ledger = Ledger()

    def fresh() -> Classifier:
        blank = bench.fresh(cell.seed, cell.run)
        blank.ledger = ledger
        return blank

    model = _load_original(bench, record, cell.seed)
    model.ledger = ledger
    task = Task(
        card,
        {
            name: bench.image_set(name, getattr(split, name), cell.seed, cell.run, ledger)
            for name in card.sees
        },
        num_classes=len(bench.classes),
        device=bench.device,
        rng=bench.generator(bench.device, cell.seed, cell.run, "method"),
        recipe=cell.setting.recipe,
        fresh=fresh,
        ledger=ledger,
    )
    function = load_function(card)
    _warm_up(bench, model, *bench.take(split.retain))
    with Presence(store.root) as others, no_forks():
        result, seconds, peak = _timed(bench, lambda: function(model, task, **(cell.parameters or {})))
    cost = copy.copy(ledger)
    cost.reads = dict(ledger.reads)
    unlearned = _checked(result, model, bench.images, len(bench.classes))
    about = {
        "method": card.name,
        "parameters": cell.parameters,
        **_about(cell, bench, seconds - task.aside_seconds, cell.shared or others.disturbed, peak, cost),
        "original": cell.original,
        "forgotten": split.forgotten,
        "split": split.manifest(),
        "notes": _plain(task.notes),
    }
    store.put(cell.key, about, evaluate(bench, unlearned, split))


def _plain(value: Any) -> Any:
    """What a method logged, as JSON: NaN and infinities become strings, tensors lists."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Tensor | np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    json.dumps(value)  # a TypeError here names what cannot be kept
    return value
