"""Official datasets: where their files are, and what to say when they are not there or not whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import platformdirs

from mubench.errors import UsageError

T = TypeVar("T")


def data_root() -> Path:
    """$MUBENCH_DATA, which `--data-root` sets, or a folder of the user's data folder."""
    configured = os.environ.get("MUBENCH_DATA")
    if configured:
        return Path(configured).expanduser()
    return Path(platformdirs.user_data_dir("mubench")) / "datasets"


def torchvision_files(
    name: str, make: Callable[[Path, bool], T], files: Sequence[tuple[str, str]], source: str, place: str
) -> T:
    """`make(root, download)`, from what is in the data root or else downloaded into it.

    files: (path below the root, MD5). source: where to get them. place: which path they should have.
    The digests are checked before anything is read: the official CIFAR files are pickles.
    Raises UsageError saying what is wrong with which file, what to get and where to put it.
    """
    from torchvision.datasets.utils import check_integrity

    root = data_root()
    there = [(root / path, md5) for path, md5 in files if (root / path).exists()]
    for path, md5 in there:
        if not check_integrity(str(path), md5):
            raise UsageError(
                f"{path}: this is not the official file of {name} (its MD5 is not {md5}); it is truncated or "
                f"another file. Remove it, or get it again from {source}"
            )
    try:
        return make(root, len(there) < len(files))
    except (OSError, RuntimeError) as error:
        raise missing(name, source, root / place, error) from None


def missing(name: str, source: str, place: Path, error: Any) -> UsageError:
    """What to say when a dataset is neither here nor to be had."""
    said = str(error).strip().splitlines()
    reason = f" ({said[0]})" if said else ""
    return UsageError(
        f"the dataset {name!r} is not here and could not be downloaded{reason}. Get {source} and unpack it "
        f"so that {place} exists, or name the folder that holds it by --data-root or MUBENCH_DATA"
    )
