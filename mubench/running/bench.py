"""The data of a setting on its device, and the models and sets made from them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mubench.api.classifier import Classifier
from mubench.api.cost import Ledger
from mubench.api.images import Augmentation, ImageSet
from mubench.discovery.models import build
from mubench.planning.cell import SETTING, Setting
from mubench.planning.data_cache import Dataset, load_dataset
from mubench.planning.splits import Split, forget_indices, make_partition
from mubench.storage.store import Store
from mubench.streams import stream_seed


class Bench:
    """The data of a setting on its device, and the models and tasks made from it."""

    def __init__(self, setting: Setting, store: Store) -> None:
        """Load the data; what depends on the seed is made later."""
        self.setting = setting
        self.device = torch.device(setting.device)
        wanted = setting.data
        data: Dataset = load_dataset(wanted.dataset, wanted.options, store.root / "data", verify=True)
        if data.digest != wanted.digest:
            raise RuntimeError("the data have changed since this run was planned; start it again")
        raw = data.raw
        self.classes = raw.classes
        self.images = torch.from_numpy(np.array(raw.images)).to(self.device)
        self.labels_np = np.array(raw.labels)
        self.labels = torch.from_numpy(self.labels_np).to(self.device)
        self.partition = make_partition(
            wanted.split, self.labels_np, raw.test, wanted.val_percent, raw.classes
        )
        self.train, self.original = self.partition.train, self.partition.original
        self.augmentation = Augmentation(raw.padding, raw.flip)
        # Of validation images, which nobody is asked to forget: else the forget set would reach Retrain
        # through its normalisation. float64 sums on the CPU: the same on every device.
        seen = np.asarray(raw.images[self.partition.val], dtype=np.float64) / 255
        self.mean = torch.tensor(seen.mean((0, 2, 3)), dtype=torch.float32)
        self.std = torch.tensor(seen.std((0, 2, 3)).clip(1e-3), dtype=torch.float32)

    def split(self, seed: int) -> Split:
        """The split with forget set `seed`."""
        forget, forgotten = forget_indices(
            self.setting.forget, self.train, self.labels_np, self.classes, seed
        )
        return Split(self.partition, forget, forgotten)

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
