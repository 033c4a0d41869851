"""Datasets: plugins that return uint8 arrays, decoded once and kept beside the store.

A dataset is a function decorated with `@dataset(name)` that returns `Raw`. Files in
`mubench/data/sets/` and modules of the entry-point group `mubench.datasets` are found by themselves.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubench.errors import UsageError, nearest, unknown

GROUP = "mubench.datasets"


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


@dataclass(frozen=True)
class Dataset:
    """A dataset as the harness uses it: `Raw` plus its name and the digest of all of it."""

    name: str
    title: str
    digest: str
    raw: Raw

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.raw.classes)


@dataclass(frozen=True)
class Source:
    """A dataset's function and where it lives."""

    name: str
    title: str
    function: Callable[..., Raw]
    file: Path

    @property
    def options(self) -> dict[str, Any]:
        """Option -> default."""
        return {p.name: p.default for p in inspect.signature(self.function).parameters.values()}


def datasets() -> dict[str, Source]:
    """All datasets by name; UsageError naming both files if two share a name."""
    package = importlib.import_module("mubench.data.sets")
    modules = [
        f"{package.__name__}.{f.stem}"
        for folder in package.__path__
        for f in sorted(Path(folder).glob("*.py"))
        if not f.stem.startswith("_")
    ]
    modules += [e.module for e in sorted(metadata.entry_points(group=GROUP), key=lambda e: e.name)]
    found: dict[str, Source] = {}
    for name in modules:
        module = importlib.import_module(name)
        for function in vars(module).values():
            label = getattr(function, "__mubench_dataset__", None)
            if label is None or function.__module__ != name:
                continue
            source = Source(label[0], label[1], function, Path(inspect.getfile(function)))
            if source.name in found:
                raise UsageError(
                    f"two datasets are called {source.name!r}: {found[source.name].file} and {source.file}"
                )
            found[source.name] = source
    return found


def _digest(raw: Raw) -> str:
    digest = hashlib.sha256()
    for array in (raw.images, raw.labels, raw.test):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(json.dumps([raw.classes, raw.padding, raw.flip]).encode())
    return digest.hexdigest()


def _read(folder: Path) -> tuple[Raw, str]:
    about = json.loads((folder / "about.json").read_text())
    images, labels, test = (
        np.load(folder / f"{part}.npy", allow_pickle=False, mmap_mode="r" if part == "images" else None)
        for part in ("images", "labels", "test")
    )
    raw = Raw(images, labels, test, tuple(about["classes"]), about["padding"], about["flip"])
    return raw, about["digest"]


def _write(raw: Raw, digest: str, folder: Path) -> None:
    """Under a temporary name first, so that a half-written cache is never read."""
    scratch = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}.tmp")
    scratch.mkdir(parents=True)
    for part in ("images", "labels", "test"):
        np.save(scratch / f"{part}.npy", getattr(raw, part), allow_pickle=False)
    about = {"classes": raw.classes, "padding": raw.padding, "flip": raw.flip, "digest": digest}
    (scratch / "about.json").write_text(json.dumps(about))
    try:
        scratch.rename(folder)
    except OSError:  # another run was first; both hold the same data
        shutil.rmtree(scratch)


def load_dataset(name: str, options: Mapping[str, Any], cache: Path) -> Dataset:
    """The dataset called `name`, from the cache or decoded now.

    Raises UsageError for an unknown name or option, or data that are missing or malformed.
    """
    sources = datasets()
    if name not in sources:
        raise unknown("dataset", name, sources)
    source = sources[name]
    for option in options:
        if option not in source.options:
            raise UsageError(f"dataset {name!r}: unknown option {option!r}.{nearest(option, source.options)}")
    facts = [name, dict(sorted(options.items())), hashlib.sha256(source.file.read_bytes()).hexdigest()]
    folder = cache / f"{name}-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]}"
    if folder.exists():
        try:
            raw, digest = _read(folder)
            return Dataset(name, source.title, digest, raw)
        except (OSError, ValueError, KeyError):  # damaged: decode again
            folder.rename(folder.with_name(f"{folder.name}.bad-{os.getpid()}"))
    raw = source.function(**options)
    digest = _digest(raw)
    _write(raw, digest, folder)
    return Dataset(name, source.title, digest, raw)
