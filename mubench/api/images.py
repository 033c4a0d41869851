"""Batches from images that live on the device: order, augmentation and reads, each with its stream.

Crop and flip are done for many images at once on the device, with an offset of each image's own.
Batches handed out are copies: nothing a method does to them reaches the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from mubench.api.cost import Ledger
from mubench.streams import stream_seed

# Images augmented at once: enough to hide the overhead of small batches, little enough for memory.
CHUNK = 8192


@dataclass(frozen=True)
class Augmentation:
    """Random crop from an image padded with `padding` zero pixels, and a random horizontal flip."""

    padding: int = 0
    flip: bool = False

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """A new tensor of the same shape (n, C, H, W) and dtype, each image drawn on its own."""
        n, _, height, width = images.shape
        device = images.device
        if self.padding:
            p = self.padding
            padded = torch.nn.functional.pad(images, (p, p, p, p))
            windows = padded.unfold(2, height, 1).unfold(3, width, 1)
            dy, dx = torch.randint(0, 2 * p + 1, (2, n), generator=rng, device=device)
            images = windows[torch.arange(n, device=device), :, dy, dx]
        else:
            images = images.clone()
        if self.flip:
            flipped = torch.rand(n, generator=rng, device=device) < 0.5
            images = torch.where(flipped[:, None, None, None], images.flip(3), images)
        return images


class ImageSet:
    """One of the sets that a method may read, as iterables of (images, labels) batches.

    Images come as float32 (b, C, H, W) in [0, 1] on the device, labels as int64 (b,). Iterating is one
    epoch in a fresh random order, augmented. An epoch has ceil(n / batch_size) batches of equal size
    (to within one image): a last batch of a few images would spoil BatchNorm's statistics.
    """

    def __init__(
        self,
        name: str,
        images: Tensor,
        labels: Tensor,
        *,
        batch_size: int,
        augmentation: Augmentation,
        order_rng: torch.Generator,
        augmentation_rng: torch.Generator,
        ledger: Ledger,
        ids: Tensor | None = None,
    ) -> None:
        """`images` uint8 (n, C, H, W) and `labels` int64 (n,) on one device.

        `order_rng` is a generator on the CPU, `augmentation_rng` one on the device. ids: see `ids`; unless
        given, 0 to n - 1.
        """
        self._images, self._labels = images, labels
        self._augmentation = augmentation
        self._order_rng, self._augmentation_rng = order_rng, augmentation_rng
        self._ledger = ledger
        self._names: list[str] = [name]
        self._owner = torch.zeros(len(labels), dtype=torch.int64)
        self._ids = torch.arange(len(labels)) if ids is None else ids.cpu()
        self.batch_size = batch_size

    def __len__(self) -> int:
        """The number of images."""
        return len(self._labels)

    @property
    def batches(self) -> int:
        """The number of batches of an epoch."""
        return -(-len(self) // self.batch_size)

    @property
    def labels(self) -> Tensor:
        """All labels (n,) in the data's order, a copy."""
        return self._labels.clone()

    @property
    def ids(self) -> Tensor:
        """The number of each image in the dataset, int64 (n,) on the CPU: the same in every set and seed.

        To ask for them reads no image.
        """
        return self._ids.clone()

    def _count(self, rows: Tensor) -> None:
        for i, samples in enumerate(torch.bincount(self._owner[rows], minlength=len(self._names)).tolist()):
            self._ledger.read(self._names[i], samples)

    def _epoch(self, views: int, number: int = 0, count: int = 0) -> Iterator[tuple[list[Tensor], Tensor]]:
        self._ledger.begin_epoch(self._names[0], number, count)
        order = torch.randperm(len(self), generator=self._order_rng)
        batches = torch.tensor_split(order, self.batches) if len(self) else ()
        per_chunk = max(1, CHUNK // self.batch_size)
        for first in range(0, len(batches), per_chunk):
            part = batches[first : first + per_chunk]
            there = torch.cat(part).to(self._images.device)
            images, labels = self._images[there], self._labels[there]
            augmented = [self._augmentation(images, self._augmentation_rng) for _ in range(views)]
            at = 0
            for batch in part:
                rows = slice(at, at := at + len(batch))
                self._count(batch)
                yield [view[rows].float().div_(255) for view in augmented], labels[rows].clone()

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch."""
        for (images,), labels in self._epoch(1):
            yield images, labels

    def epochs(self, count: int) -> Iterator[tuple[Tensor, Tensor]]:
        """`count` epochs, each in an order of its own."""
        for number in range(1, count + 1):
            for (images,), labels in self._epoch(1, number, count):
                yield images, labels

    def cycle(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Epochs without end (of an empty set: nothing)."""
        while len(self):
            yield from self

    def views(self, count: int) -> Iterator[tuple[Tensor, ...]]:
        """One epoch of `count` independent augmentations of each batch, without labels."""
        for images, _ in self._epoch(count):
            yield tuple(images)

    def labelled_views(self, count: int) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
        """One epoch of `count` independent augmentations of each batch, with its labels."""
        for images, labels in self._epoch(count):
            yield tuple(images), labels

    def plain(self, batch_size: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch in the data's order, without augmentation."""
        size = batch_size or self.batch_size
        for start in range(0, len(self), size):
            at = slice(start, start + size)
            self._count(torch.arange(len(self))[at])
            yield self._images[at].float().div_(255), self._labels[at].clone()

    def relabelled(self, labels: Tensor) -> ImageSet:
        """The same images, order and augmentation streams with other labels (n,) int64."""
        if labels.shape != self._labels.shape:
            raise ValueError(f"{len(self)} labels are needed, got {tuple(labels.shape)}")
        twin = copy(self)
        twin._labels = labels.clone()
        return twin

    def sample(self, share: float, rng: torch.Generator) -> ImageSet:
        """floor(share * n) of the images, drawn from `rng` without replacement; the same streams."""
        order = torch.randperm(len(self), generator=rng, device=rng.device)
        return self._taken(order[: int(share * len(self))])

    def subset(self, name: str, rows: Tensor) -> ImageSet:
        """The images of these rows, with an order and an augmentation of their own, drawn from `name`.

        rows: int64, or bool (n,), on any device. The same name and size give the same order again, whatever
        was read before, so that training on one part does not depend on another. Reads count for this set.
        """
        twin = self._taken(rows)
        order, augmentation = self._order_rng, self._augmentation_rng
        twin._order_rng = torch.Generator().manual_seed(stream_seed(order.initial_seed(), name))
        seed = stream_seed(augmentation.initial_seed(), name)
        twin._augmentation_rng = torch.Generator(augmentation.device).manual_seed(seed)
        return twin

    def _taken(self, rows: Tensor) -> ImageSet:
        """These rows, with the same streams."""
        twin = copy(self)
        here, there = rows.cpu(), rows.to(self._images.device)
        twin._images, twin._labels = self._images[there], self._labels[there]
        twin._owner, twin._ids = self._owner[here], self._ids[here]
        return twin

    def joined(self, other: ImageSet) -> ImageSet:
        """Both sets shuffled together, by this set's streams; reads still count for each."""
        twin = copy(self)
        twin._images = torch.cat([self._images, other._images])
        twin._labels = torch.cat([self._labels, other._labels])
        twin._owner = torch.cat([self._owner, other._owner + len(self._names)])
        twin._ids = torch.cat([self._ids, other._ids])
        twin._names = self._names + other._names
        return twin
