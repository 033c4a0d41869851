"""Datasets, decoded once and kept beside the store as arrays."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mubench.api.dataset import DatasetSpec, ImageSpec, Raw
from mubench.discovery.find import load_function
from mubench.errors import UsageError, suggestion
from mubench.planning.subset import SUBSET, subset
from mubench.storage.files import lock_file, scratch_beside, write_atomic

# Of the cache; another one is not read.
FORMAT = 2


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


def _digest(raw: Raw) -> str:
    digest = hashlib.sha256()
    for array in (raw.images, raw.labels, raw.test):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(json.dumps([raw.classes, raw.padding, raw.flip]).encode())
    return digest.hexdigest()


def _frame_digest(raw: Raw) -> str:
    """Of all but the images: little enough to be checked whenever a split is drawn from it."""
    return _digest(replace(raw, images=np.zeros((len(raw.labels), 0, 0, 0), np.uint8)))


def _read(folder: Path, verify: bool) -> tuple[Raw, str]:
    """The arrays and their digest; OSError or ValueError unless they are as written, images if `verify`."""
    about = json.loads((folder / "about.json").read_text())
    images, labels, test = (
        np.load(folder / f"{part}.npy", allow_pickle=False, mmap_mode="r" if part == "images" else None)
        for part in ("images", "labels", "test")
    )
    raw = Raw(images, labels, test, tuple(about["classes"]), about["padding"], about["flip"])
    if _frame_digest(raw) != about["frame"]:
        raise ValueError("the cached labels do not match their digest")
    if verify and _digest(raw) != about["digest"]:
        raise ValueError("the cached images do not match their digest")
    return raw, about["digest"]


def _write(raw: Raw, digest: str, folder: Path) -> None:
    """Under a temporary name first, so that a half-written cache is never read."""
    scratch = scratch_beside(folder)
    scratch.mkdir(parents=True)
    try:
        for part in ("images", "labels", "test"):
            with (scratch / f"{part}.npy").open("wb") as file:
                np.save(file, getattr(raw, part), allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
        about = {"classes": raw.classes, "padding": raw.padding, "flip": raw.flip, "digest": digest}
        about["frame"] = _frame_digest(raw)
        write_atomic(scratch / "about.json", json.dumps(about).encode())
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def image_spec_of(spec: DatasetSpec, options: Mapping[str, Any], cache: Path) -> ImageSpec:
    """The form of a dataset's images, as declared or else by loading it."""
    return spec.images or load_dataset(spec, options, cache).raw.spec


def filled_cache_folder(spec: DatasetSpec, options: Mapping[str, Any], cache: Path) -> Path:
    """The folder of the cache with all images of a dataset, for another machine; made now if need be."""
    load_dataset(spec, options, cache)
    return cache_folder(spec, options, cache)


def load_dataset(
    spec: DatasetSpec,
    options: Mapping[str, Any],
    cache: Path,
    *,
    verify: bool = False,
    handed: Path | None = None,
) -> Dataset:
    """A dataset with these options, from the cache or decoded now.

    Besides the dataset's own options there are `train_per_class` and `test_per_class`: only so many
    images of each class, the same ones at every call. verify: check the cached arrays by their digest.
    handed: another machine's `filled_cache_folder`, to be read in place of this one's cache.

    Raises UsageError for a wrong option, or data that are missing or malformed.
    """
    where, arguments = f"dataset {spec.name!r}", _arguments(spec, options)
    try:
        folder = handed or _folder(spec, arguments, cache)
        raw, digest = _cached(folder, verify) or _decode(spec, arguments, folder, verify)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{where}: {error}") from None
    title = str(arguments.get("name", spec.title))
    train, test = (options.get(key) for key in SUBSET)
    chosen = subset(raw.labels, raw.test, train, test, raw.classes)
    if chosen is not None:
        raw = replace(raw, images=raw.images[chosen], labels=raw.labels[chosen], test=raw.test[chosen])
        digest = hashlib.sha256(digest.encode() + chosen.tobytes()).hexdigest()
        counts = [f"{options[key]:,} {key.split('_')[0]}" for key in SUBSET if options.get(key) is not None]
        title += f", only {' and '.join(counts)} images of each class"
    return Dataset(spec.name, title, digest, raw)


def _arguments(spec: DatasetSpec, options: Mapping[str, Any]) -> dict[str, Any]:
    """The dataset's own options, all of them; UsageError for one that is wrong or missing."""
    where = f"dataset {spec.name!r}"
    chosen_options = {k: v for k, v in options.items() if k not in SUBSET}
    names = [p.name for p in spec.parameters]
    for option in chosen_options:
        if option not in names:
            raise UsageError(f"{where}: unknown option {option!r}.{suggestion(option, [*names, *SUBSET])}")
    for p in spec.parameters:
        if p.required and p.name not in options:
            raise UsageError(f"{where}: the option {p.name!r} is missing; write data.{p.name} = ...")
    return spec.bind(chosen_options, where)


def cache_folder(spec: DatasetSpec, options: Mapping[str, Any], cache: Path) -> Path:
    """Where a dataset with these options is kept, or would be; UsageError as `load_dataset`."""
    try:
        return _folder(spec, _arguments(spec, options), cache)
    except (TypeError, ValueError) as error:
        raise UsageError(f"dataset {spec.name!r}: {error}") from None


def check_cached(folder: Path) -> None:
    """OSError or ValueError unless the arrays kept there are as they were written."""
    _read(folder, verify=True)


def _folder(spec: DatasetSpec, arguments: Mapping[str, Any], cache: Path) -> Path:
    return cache / f"{spec.name}-{_cache_key(spec, arguments)}"


def _cache_key(spec: DatasetSpec, arguments: Mapping[str, Any]) -> str:
    """16 hex digits that change with the options, the dataset's code and the files behind it."""
    function = load_function(spec)
    fingerprint = getattr(sys.modules[function.__module__], "fingerprint", None)
    files = fingerprint(**arguments) if fingerprint else ""
    facts = [FORMAT, spec.name, dict(sorted(arguments.items())), spec.source, files]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _cached(folder: Path, verify: bool) -> tuple[Raw, str] | None:
    if not folder.exists():
        return None
    try:
        return _read(folder, verify)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        aside = folder.with_name(f"{folder.name}.bad-{uuid.uuid4().hex[:8]}")
        with suppress(OSError):  # another run was first
            folder.rename(aside)
            print(f"{folder}: {error}; set aside as {aside.name}, decoded again", file=sys.stderr)  # noqa: T201
        return None


def _decode(spec: DatasetSpec, arguments: Mapping[str, Any], folder: Path, verify: bool) -> tuple[Raw, str]:
    """Decode, and keep it if the cache can be written; of several runs at once, one does and others wait."""
    if not _writable(folder.parent):
        return _fresh(spec, arguments)
    with lock_file(folder.with_name(f"{folder.name}.lock")):
        saved = _cached(folder, verify)
        if saved is None:
            saved = _fresh(spec, arguments)
            _write(*saved, folder)
    return saved


def _fresh(spec: DatasetSpec, arguments: Mapping[str, Any]) -> tuple[Raw, str]:
    raw = load_function(spec)(**arguments)
    return raw, _digest(raw)


def _writable(folder: Path) -> bool:
    """Whether files can be made in the folder, or the folder itself."""
    return os.access(next(p for p in (folder, *folder.parents) if p.exists()), os.W_OK)
