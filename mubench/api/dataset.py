"""What a dataset declares: `@dataset` marks a function that returns `Raw` arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class ImageSpec:
    """What a dataset's images are like, whether they are here or not.

    shape: (C, H, W). classes: K. padding, flip: as in `mubench.data.Raw`.
    """

    shape: tuple[int, int, int]
    classes: int
    padding: int = 0
    flip: bool = False


def dataset(name: str, *, title: str = "", looks: ImageSpec | None = None) -> Callable[[F], F]:
    """Declare a dataset: a function that returns `mubench.data.Raw` arrays.

    Its keyword-only parameters are the dataset's options, set in a suite's `data` table. looks: if they
    are always the same, `mubench speed` needs no images.
    """

    def declare(function: F) -> F:
        function.__mubench_dataset__ = (name, title or name, looks)  # type: ignore[attr-defined]
        return function

    return declare


@dataclass(frozen=True)
class Raw:
    """What a dataset's function returns.

    images: (n, C, H, W) uint8. labels: (n,) int, 0..K-1. test: (n,) bool, the official or constant
    test images. classes: K names. padding, flip: the augmentation that belongs to the data (random
    crop from a zero-padded image, in pixels; random horizontal flip).
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    test: NDArray[np.bool_]
    classes: tuple[str, ...]
    padding: int = 0
    flip: bool = False

    def __post_init__(self) -> None:
        n = len(self.images)
        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise ValueError(f"images must be (n, C, H, W) uint8: {self.images.shape} {self.images.dtype}")
        if self.labels.shape != (n,) or self.test.shape != (n,):
            raise ValueError(f"labels and test must have {n} entries: {self.labels.shape}, {self.test.shape}")
        if n == 0 or self.labels.min() < 0 or self.labels.max() >= len(self.classes):
            raise ValueError(f"labels must be 0..{len(self.classes) - 1} and not empty")

    @property
    def looks(self) -> ImageSpec:
        """What the images are like."""
        channels, height, width = self.images.shape[1:]
        return ImageSpec((channels, height, width), len(self.classes), self.padding, self.flip)
