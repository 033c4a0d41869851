"""Puts a task together from its parts: the sets with their random streams, the ledger, fresh models."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from mubench.api.classifier import Classifier
from mubench.api.cost import Ledger
from mubench.api.images import Augmentation, ImageSet
from mubench.api.method import MethodSpec
from mubench.api.recipe import Recipe
from mubench.api.task import Task
from mubench.streams import stream_seed

# (name, ...) -> the seed of the random stream of that name.
Streams = Callable[..., int]


def streams(seed: int, *prefix: str) -> Streams:
    """The streams of a seed whose names begin with `prefix`."""
    return lambda *names: stream_seed(seed, *prefix, *names)


def generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on the device, from this seed."""
    return torch.Generator(device).manual_seed(seed)


def make_set(
    name: str,
    data: tuple[Tensor, Tensor],
    seeds: Streams,
    ledger: Ledger,
    *,
    batch_size: int,
    augmentation: Augmentation,
    ids: Tensor | None = None,
) -> ImageSet:
    """The image set called `name`; its order and its augmentation each have a stream.

    data: images uint8 (n, C, H, W) and labels int64 (n,). ids: their numbers in the dataset.
    """
    images, labels = data
    return ImageSet(
        name,
        images,
        labels,
        batch_size=batch_size,
        augmentation=augmentation,
        order_rng=generator(seeds("order", name)),
        augmentation_rng=generator(seeds("augmentation", name), images.device),
        ledger=ledger,
        ids=ids,
    )


def make_task(
    spec: MethodSpec,
    data: Mapping[str, tuple[Tensor, Tensor]],
    seeds: Streams,
    fresh: Callable[[int], Classifier],
    *,
    num_classes: int,
    device: torch.device,
    batch_size: int,
    augmentation: Augmentation,
    recipe: Recipe,
    ledger: Ledger,
    ids: Mapping[str, Tensor] | None = None,
    called: Mapping[str, str] | None = None,
) -> Task:
    """The task of a method on these sets (name -> images uint8, labels); `fresh` makes a new model by number.

    ids: name -> the images' numbers in the dataset. called: name -> what the set is called by its streams and
    the ledger, where that is another name.
    """

    def counted(number: int) -> Classifier:
        model = fresh(number)
        model.ledger = ledger
        return model

    def made(name: str, part: tuple[Tensor, Tensor]) -> ImageSet:
        return make_set(
            *((called or {}).get(name, name), part, seeds, ledger),
            batch_size=batch_size,
            augmentation=augmentation,
            ids=(ids or {}).get(name),
        )

    sets = {name: made(name, part) for name, part in data.items()}
    return Task(
        spec,
        sets,
        num_classes=num_classes,
        device=device,
        rng=generator(seeds("method"), device),
        recipe=recipe,
        fresh=counted,
        ledger=ledger,
    )
