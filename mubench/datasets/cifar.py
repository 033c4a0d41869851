"""CIFAR-10 and CIFAR-100: 60,000 colour images of 32x32 pixels (Krizhevsky, 2009), by torchvision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from mubench.api.dataset import ImageSpec, Raw, dataset
from mubench.datasets._official import official_files

IMAGES = ImageSpec((3, 32, 32), 10, padding=4, flip=True)
IMAGES_100 = replace(IMAGES, classes=100)

# What is done to a training image: a random crop with padding 4 and a flip, the flip alone, or nothing.
Augmentation = Literal["crop+flip", "flip", "none"]


def _cifar(kind: str, name: str, augmentation: Augmentation) -> Raw:
    from torchvision import datasets

    official: Any = getattr(datasets, kind)
    folder = official.base_folder
    listed = [*official.train_list, *official.test_list, (official.meta["filename"], official.meta["md5"])]
    root = official_files(
        name,
        lambda root: official(root, download=True),
        {f"{folder}/{file}": md5 for file, md5 in listed},
        official.url,
        folder,
    )
    train, test = official(root, train=True), official(root, train=False)
    images = np.concatenate([train.data, test.data]).transpose(0, 3, 1, 2)
    return Raw(
        np.ascontiguousarray(images),
        np.array([*train.targets, *test.targets], dtype=np.int64),
        np.arange(len(images)) >= len(train.data),
        tuple(train.classes),
        padding=IMAGES.padding if augmentation == "crop+flip" else 0,
        flip=augmentation != "none",
    )


@dataset("cifar10", title="CIFAR-10", images=IMAGES)
def cifar10(*, augmentation: Augmentation = "crop+flip") -> Raw:
    """50,000 training and 10,000 test images of ten classes.

    augmentation: what is done to a training image, "crop+flip", "flip" or "none".
    """
    return _cifar("CIFAR10", "cifar10", augmentation)


@dataset("cifar100", title="CIFAR-100", images=IMAGES_100)
def cifar100(*, augmentation: Augmentation = "crop+flip") -> Raw:
    """50,000 training and 10,000 test images of a hundred classes.

    augmentation: what is done to a training image, "crop+flip", "flip" or "none".
    """
    return _cifar("CIFAR100", "cifar100", augmentation)
