"""The data of a setting, and the models and image sets made from them on its device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mubench.api.classifier import Classifier
from mubench.api.images import Augmentation
from mubench.discovery.models import build
from mubench.planning.cell import DATA_SETTING, Setting
from mubench.planning.data_cache import load_dataset
from mubench.planning.splits import Partition, Split, forget_indices, make_partition
from mubench.storage.store import Store
from mubench.streams import stream_seed

DATA_CHANGED = "the data have changed since this run was planned; start it again"

# How `torch.compile` compiles a backbone.
COMPILE_MODE = "reduce-overhead"


@dataclass(frozen=True)
class Data:
    """A dataset as arrays, and its split into train, validation and test.

    images: uint8 (n, C, H, W). labels: int64 (n,). mean, std: of the channels, float32 (C,), in [0, 1].
    """

    digest: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    augmentation: Augmentation
    partition: Partition
    mean: NDArray[np.float32]
    std: NDArray[np.float32]


@lru_cache(maxsize=1)
def _load(setting: str, cache: Path) -> Data:
    data = DATA_SETTING.validate_json(setting)
    handed = cache / data.digest  # by an engine, from the machine that planned
    loaded = load_dataset(
        data.dataset, data.options, cache, verify=True, handed=handed if handed.is_dir() else None
    )
    if loaded.digest != data.digest:
        raise RuntimeError(DATA_CHANGED)
    raw = loaded.raw
    images, labels = np.array(raw.images), np.array(raw.labels)
    partition = make_partition(data.split, labels, raw.test, data.val_percent, raw.classes)
    # Of validation images, which nobody is asked to forget: else the forget set would reach Retrain
    # through its normalisation. float64 sums on the CPU: the same on every device.
    seen = images[partition.val].astype(np.float64) / 255
    mean = seen.mean((0, 2, 3)).astype(np.float32)
    std = seen.std((0, 2, 3)).clip(1e-3).astype(np.float32)
    augmentation = Augmentation(raw.padding, raw.flip)
    return Data(data.digest, images, labels, raw.classes, augmentation, partition, mean, std)


def data_of(setting: Setting, store: Store) -> Data:
    """The data of a setting, read and checked once for all settings that differ in other things only.

    Raises RuntimeError if they are not those that the setting was planned for.
    """
    return _load(DATA_SETTING.dump_json(setting.data).decode(), store.root / "data")


class Bench:
    """A setting's data as tensors on its device, and the models and splits made from them."""

    def __init__(self, setting: Setting, store: Store) -> None:
        """Take the data to the device; on the CPU the tensors and `data_of(...)` share their memory."""
        self.setting = setting
        self.device = torch.device(setting.device)
        self.data = data = data_of(setting, store)
        self.classes = data.classes
        self.images = torch.from_numpy(data.images).to(self.device)
        self.labels = torch.from_numpy(data.labels).to(self.device)

    def split(self, seed: int) -> Split:
        """The split with forget set `seed`."""
        data = self.data
        train = data.partition.train
        return Split(
            data.partition,
            *forget_indices(self.setting.forget, train, data.labels, data.classes, seed),
        )

    def take(self, indices: NDArray[Any]) -> tuple[Tensor, Tensor]:
        """(images uint8, labels) of these dataset indices, copies."""
        rows = torch.from_numpy(indices).to(self.device)
        return self.images[rows], self.labels[rows]

    def sets(self, split: Split, names: tuple[str, ...]) -> Mapping[str, tuple[Tensor, Tensor]]:
        """(images, labels) of the sets of a split, by name."""
        return {name: self.take(getattr(split, name)) for name in names}

    def fresh(self, seed: int, stream: str, number: int = 0) -> Classifier:
        """A newly initialised model on the device, in train mode; each number has weights of its own."""
        names = (stream, "init", *([str(number)] if number else []))
        rng = torch.Generator().manual_seed(stream_seed(seed, *names))
        mean, std = torch.from_numpy(self.data.mean.copy()), torch.from_numpy(self.data.std.copy())
        model = build(self.setting.model, len(self.classes), mean, std, rng).to(self.device)
        if self.setting.precision == "bf16":
            model.autocast = torch.bfloat16
        if self.setting.compile:  # in place: names of weights stay, and deep copies are not compiled
            model.backbone.compile(mode=COMPILE_MODE)
        return model.train()

    def synchronise(self) -> None:
        """Wait until the device has done all it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
