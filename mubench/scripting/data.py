"""A user's own images as arrays, from arrays, tensors or torch's Datasets."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubench.api.dataset import Raw
from mubench.datasets.arrays import raw_of
from mubench.errors import UsageError, error_context
from mubench.storage.files import lock_file
from mubench.storage.store import Store

EXPECTED = (
    "expected a dataset's name, (images, labels), (images, labels, is_test), a torch Dataset, a training and "
    "a test Dataset, or a function declared with @dataset"
)


def as_array(values: Any) -> NDArray[Any]:
    """An array of an array, a tensor on any device, a picture, or a list of them."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        return np.asarray(values.float() if "bfloat16" in str(values.dtype) else values)
    if isinstance(values, list | tuple) and values and hasattr(values[0], "detach"):
        return np.stack([as_array(v) for v in values])
    return np.asarray(values)


def own_data(dataset: Any, padding: int = 0, flip: bool = False) -> Raw:
    """The arrays of a user's data; UsageError, in one line, for what cannot be used.

    dataset: (images, labels), (images, labels, is_test), a torch Dataset of (image, label), or a training
    and a test Dataset. Images: see `mubench.datasets.arrays.raw_of`.
    """
    test: Any = None
    with error_context("dataset"):
        if _is_dataset(dataset):
            images, labels = _items(dataset)
        elif isinstance(dataset, tuple | list) and len(dataset) == 2 and all(map(_is_dataset, dataset)):
            parts = [_items(part) for part in dataset]
            images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
            test = np.arange(len(labels)) >= len(parts[0][1])
        elif isinstance(dataset, tuple | list) and len(dataset) in (2, 3):
            images, labels = as_array(dataset[0]), as_array(dataset[1])
            test = as_array(dataset[2]) if len(dataset) == 3 else None
        else:
            raise UsageError(f"got {type(dataset).__name__}; {EXPECTED}")
        try:
            return raw_of(images, labels, test, padding=padding, flip=flip)
        except ValueError as error:
            raise UsageError(str(error)) from None


def _is_dataset(thing: Any) -> bool:
    """Whether it is a torch Dataset that knows its length, or alike: no array, no list."""
    if isinstance(thing, list | tuple | str | dict) or hasattr(thing, "dtype"):
        return False
    return hasattr(thing, "__getitem__") and hasattr(thing, "__len__")


def _items(dataset: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """The images and labels of a Dataset, item by item."""
    images, labels = [], []
    for i in range(len(dataset)):
        item = dataset[i]
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise UsageError(f"item {i} is {type(item).__name__}; expected (image, label)")
        images.append(as_array(item[0]))
        labels.append(as_array(item[1]))
    if len({image.shape for image in images}) > 1:
        shapes = sorted({image.shape for image in images})
        raise UsageError(f"images have the shapes {shapes[0]} and {shapes[-1]}; expected one shape")
    if not images:
        raise UsageError("it is empty")
    return np.stack(images), np.stack(labels)


def save(raw: Raw, store: Store) -> tuple[Path, str]:
    """Keep the arrays in the store: their file, named by their content, and a digest of 8 hex digits."""
    sha = hashlib.sha256()
    parts: dict[str, NDArray[Any]] = {"images": raw.images, "labels": raw.labels, "test": raw.test}
    for array in parts.values():
        sha.update(f"{array.dtype}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    path = store.root / "arrays" / f"{sha.hexdigest()}.npz"
    with lock_file(path.with_suffix(".lock")):
        if not path.exists():
            scratch = path.with_suffix(".tmp.npz")
            np.savez(scratch, **parts)  # type: ignore[arg-type]
            scratch.rename(path)
    return path, sha.hexdigest()[:8]
