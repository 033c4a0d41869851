"""Images of your own: a tree `train/<class>/*`, `test/<class>/*`, the layout of torchvision's ImageFolder."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mubench.api.dataset import Raw, dataset
from mubench.datasets._official import data_root
from mubench.errors import UsageError

T = TypeVar("T")
GREY = ("1", "L", "LA")
# As torchvision's ImageFolder. Pillow reads others, some by starting other programs (EPS: Ghostscript).
FORMATS = ("PNG", "JPEG", "PPM", "BMP", "TIFF", "WEBP")
# Pillow would clip their pixels to 0..255 without a word.
DEEP = ("I", "F")
DEEP_COLOUR = (";16B", ";16L", ";16N")
# What file managers leave behind.
IGNORED = ("Thumbs.db", "desktop.ini")


def _where(root: str) -> Path:
    """A relative root lies in the data root if it is there, else in the working directory."""
    given = Path(root).expanduser()
    below = data_root() / given
    return below if below.is_dir() else given.absolute()


def _names(folder: Path) -> list[str]:
    """Entries in alphabetical order, without hidden files; UsageError for a name nobody could print."""
    with os.scandir(folder) as entries:
        names = sorted(e.name for e in entries if not e.name.startswith(".") and e.name not in IGNORED)
    odd = [n for n in names if not n.isascii() and any("\ud800" <= c <= "\udfff" for c in n)]
    if odd:
        raise UsageError(f"{folder}: the name {odd[0]!a} is not UTF-8; rename it")
    return names


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
        sides = {"train": set(classes) - set(tested), "test": set(tested) - set(classes)}
        odd = "; ".join(f"only in {part}: {', '.join(sorted(s))}" for part, s in sides.items() if s)
        raise UsageError(f"{top}: train and test do not have the same classes; {odd}")
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
    try:
        about = [os.stat(path) for path, _, _ in files]  # noqa: PTH116 - Path costs seconds
    except OSError as error:
        raise UsageError(f"{error.filename}: the image cannot be read: {error.strerror}") from None
    for (path, _, _), entry in zip(files, about, strict=True):
        if not stat.S_ISREG(entry.st_mode):  # a pipe would never end
            raise UsageError(f"{path}: the image cannot be read: not an ordinary file")
    digest = hashlib.sha256("\0".join([path[start:] for path, _, _ in files]).encode())
    digest.update(np.array([(s.st_size, s.st_mtime_ns) for s in about], dtype="<i8").tobytes())
    return digest.hexdigest()


def _open(path: str, resize: int | None, channels: int | None) -> NDArray[np.uint8]:
    """One image as (C, H, W); UsageError naming the file if it cannot be one."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            # a colour file of 16 bits per channel opens as RGB: only how it is packed tells
            packed = " ".join(str(tile[3]) for tile in getattr(image, "tile", ()))
            if image.mode.startswith(DEEP) or any(deep in packed for deep in DEEP_COLOUR):
                raise UsageError(f"{path}: more than 8 bits per channel ({packed}); convert it first")
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
        raise UsageError(f"{path}: this is not an image of the kinds {', '.join(FORMATS)}") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UsageError(f"{path}: the image cannot be read: {error}") from None
    if resize is not None and picture.size != (resize, resize):
        picture = picture.resize((resize, resize), Image.Resampling.BILINEAR)
    array = np.asarray(picture)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def _check_room(count: int, channels: int, height: int, width: int) -> None:
    """UsageError if the images cannot fit: asked for before anything of that size is made."""
    needed = count * channels * height * width
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    if memory and needed > memory // 2:
        raise UsageError(
            f"dataset 'folder': {count:,} images of {width}x{height} pixels take {needed / 2**30:,.0f} GiB, "
            f"and this machine has {memory / 2**30:,.0f} GiB of memory; say a smaller data.resize"
        )


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
    if resize is not None:
        _check_room(len(files), channels or 1, resize, resize)
    first = _open(files[0][0], resize, channels)
    _check_room(len(files), *first.shape)
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
