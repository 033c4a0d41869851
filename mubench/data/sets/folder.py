"""Images of your own: a tree `train/<class>/*`, `test/<class>/*`, the layout of torchvision's ImageFolder."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mubench.data.catalogue import Raw
from mubench.data.official import data_root
from mubench.errors import UsageError
from mubench.plugin import dataset

T = TypeVar("T")
GREY = ("1", "L", "LA", "I", "I;16")
# What file managers leave behind.
IGNORED = ("Thumbs.db", "desktop.ini")


def _where(root: str) -> Path:
    """A relative root lies in the data root if it is there, else in the working directory."""
    below = data_root() / root
    return below if below.is_dir() else Path(root).absolute()


def _names(folder: Path) -> list[str]:
    """Entries in alphabetical order, without hidden files."""
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if not e.name.startswith(".") and e.name not in IGNORED)


def _files(root: str) -> tuple[tuple[str, ...], list[tuple[str, int, bool]]]:
    """The classes, and (path, label, is test) of every image, training images first."""
    top = _where(root)
    for part in ("train", "test"):
        if not (top / part).is_dir():
            raise UsageError(
                f"{top / part}: there is no such folder; dataset 'folder' needs train/<class>/* and "
                "test/<class>/* below data.root (relative to --data-root or the working directory)"
            )
    classes = tuple(n for n in _names(top / "train") if (top / "train" / n).is_dir())
    tested = tuple(n for n in _names(top / "test") if (top / "test" / n).is_dir())
    if len(classes) < 2:
        raise UsageError(f"{top / 'train'}: at least two class folders are needed, found {len(classes)}")
    if classes != tested:
        odd = sorted(set(classes) ^ set(tested))
        raise UsageError(f"{top}: train and test do not have the same classes; only in one: {', '.join(odd)}")
    found = []
    for part in ("train", "test"):
        for label, name in enumerate(classes):
            images = _names(top / part / name)
            if not images:
                raise UsageError(f"{top / part / name}: the class folder is empty")
            # plain strings: there may be a million
            found += [(f"{top}/{part}/{name}/{image}", label, part == "test") for image in images]
    return classes, found


def fingerprint(*, root: str, **options: object) -> str:
    """Changes when a file is added, removed or changed; reads no image."""
    _, files = _files(root)
    start = len(str(_where(root)))
    about = [(path[start:], os.stat(path)) for path, _, _ in files]  # noqa: PTH116 - Path costs seconds
    lines = "\n".join(f"{path}\0{s.st_size}\0{s.st_mtime_ns}" for path, s in about)
    return hashlib.sha256(lines.encode()).hexdigest()


def _open(path: str, resize: int | None, channels: int | None) -> NDArray[np.uint8]:
    """One image as (C, H, W); UsageError naming the file if it cannot be one."""
    try:
        with Image.open(path) as image:
            own = 1 if image.mode in GREY else 3
            if channels is None:
                channels = own
            elif channels < 0 and own != -channels:
                kinds = {1: "grey", 3: "colour"}
                raise UsageError(
                    f"{path}: a {kinds[own]} image among {kinds[-channels]} ones; say data.channels = 1 or 3"
                )
            picture = image.convert("L" if abs(channels) == 1 else "RGB")
    except UnidentifiedImageError:
        raise UsageError(f"{path}: this is not an image") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UsageError(f"{path}: the image cannot be read: {error}") from None
    if resize is not None and picture.size != (resize, resize):
        picture = picture.resize((resize, resize), Image.Resampling.BILINEAR)
    array = np.asarray(picture)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def _shown(items: Iterable[T], total: int) -> Iterable[T]:
    """With a progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    if not sys.stderr.isatty():
        return items
    return track(items, "decoding images", total, console=console, transient=True)


@dataset("folder", title="images of a folder")
def folder(
    *,
    root: str,
    resize: int | None = None,
    channels: int | None = None,
    padding: int = 4,
    flip: bool = True,
    name: str = "images of a folder",
) -> Raw:
    """Images of `root`, in alphabetical order of classes and files.

    root: the folder of train/ and test/, in the data root or the working directory. resize: the side in
    pixels to bring every image to; without it, images of unequal size are refused. channels: 1 or 3;
    without it, as the first image, and others are refused. padding, flip: the augmentation. name: how
    captions call the data.
    """
    if channels not in (None, 1, 3) or (resize is not None and resize < 1) or padding < 0:
        raise UsageError("dataset 'folder': channels is 1 or 3, resize at least 1, padding at least 0")
    classes, files = _files(root)
    first = _open(files[0][0], resize, channels)
    # a negative number: the kind that every file must have by itself
    kind = channels or -len(first)
    images = np.empty((len(files), *first.shape), dtype=np.uint8)
    with ThreadPoolExecutor() as pool:
        opened = pool.map(lambda file: _open(file[0], resize, kind), files)
        for i, image in enumerate(_shown(opened, len(files))):
            if image.shape != first.shape:
                (_, h, w), (_, height, width) = image.shape, first.shape
                pool.shutdown(wait=False, cancel_futures=True)
                raise UsageError(
                    f"{files[i][0]}: {w}x{h} pixels, but {files[0][0]} has {width}x{height}; make them equal "
                    "or say data.resize = a side in pixels"
                )
            images[i] = image
    labels = np.array([label for _, label, _ in files], dtype=np.int64)
    return Raw(images, labels, np.array([test for *_, test in files]), classes, padding, flip)
