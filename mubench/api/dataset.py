"""What a dataset declares: `@dataset` marks a function that returns `Raw` arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mubench.api.parameter import parameters_of
from mubench.api.spec import Spec, doc_of, mark

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class ImageSpec:
    """The form of a dataset's images, whether they are here or not.

    shape: (C, H, W). classes: K. padding, flip: as in `Raw`.
    """

    shape: tuple[int, int, int]
    classes: int
    padding: int = 0
    flip: bool = False


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(Spec):
    """Everything that is known of a dataset without reading it."""

    title: str
    images: ImageSpec | None = None


def dataset(name: str, *, title: str = "", images: ImageSpec | None = None) -> Callable[[F], F]:
    """Declare a dataset: a function that returns `Raw` arrays.

    Its keyword-only parameters are the dataset's options, set in a suite's `data` table; they need a type,
    not a default. images: the form of the images, if it is always the same; then `mubench speed` needs none
    of them. Where the files behind a dataset may change, a function `fingerprint(**options)` in the same
    module returns a text that changes with them.

    Raises TypeError, naming the function, if the signature cannot be used.
    """

    def declare(function: F) -> F:
        where = f"dataset {name!r} ({function.__name__})"
        spec = DatasetSpec(
            name=name,
            function=function.__name__,
            doc=doc_of(function),
            parameters=parameters_of(function, where, (), defaults=False),
            title=title or name,
            images=images,
        )
        mark(function, spec)
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
    def spec(self) -> ImageSpec:
        """What the images are like."""
        channels, height, width = self.images.shape[1:]
        return ImageSpec((channels, height, width), len(self.classes), self.padding, self.flip)
