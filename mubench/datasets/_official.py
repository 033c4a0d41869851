"""Official datasets: where their files are, and what to say when they are not there or not whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import platformdirs

from mubench.errors import UsageError


def data_root() -> Path:
    """$MUBENCH_DATA, which `--data-root` sets, or a folder of the user's data folder."""
    configured = os.environ.get("MUBENCH_DATA")
    if configured:
        return Path(configured).expanduser()
    return Path(platformdirs.user_data_dir("mubench")) / "datasets"


_DOWNLOADS: ContextVar[bool] = ContextVar("downloads", default=True)


@contextmanager
def without_downloads() -> Iterator[None]:
    """Inside, official files that are not here are an error."""
    before = _DOWNLOADS.set(False)
    try:
        yield
    finally:
        _DOWNLOADS.reset(before)


def check_downloads() -> None:
    """OSError inside `without_downloads`."""
    if not _DOWNLOADS.get():
        raise OSError("nothing is downloaded now")


def official_files(
    name: str, fetch: Callable[[Path], Any], files: Mapping[str, str], source: str, place: str
) -> Path:
    """The data root, once it holds all `files`: `fetch(root)` downloads what is not there.

    files: path below the root -> SHA-256, or MD5 where nothing better is published. source: where to get
    them. place: which path they should have. The digests are checked before anything is read: the official
    CIFAR files are pickles.

    Raises UsageError saying what is wrong with which file, what to get and where to put it.
    """
    root = data_root()
    absent = [path for path in files if not (root / path).exists()]

    def check(paths: Iterable[str]) -> None:
        for path in paths:
            kind = "MD5" if len(files[path]) == 32 else "SHA-256"
            with (root / path).open("rb") as file:
                digest = hashlib.file_digest(file, kind.lower().replace("-", "")).hexdigest()
            if digest != files[path]:
                raise UsageError(
                    f"{root / path}: this is not the official file of {name} (its {kind} is not "
                    f"{files[path]}); it is truncated or another file. Remove it, or get it again from "
                    f"{source}"
                )

    check(path for path in files if path not in absent)
    if absent:
        try:
            check_downloads()
            fetch(root)
            check(absent)
        except (OSError, RuntimeError) as error:
            raise missing(
                name, source, root / place, error, absent if len(absent) < len(files) else []
            ) from None
    return root


def missing(name: str, source: str, place: Path, error: Any, absent: Sequence[str] = ()) -> UsageError:
    """What to say when a dataset, or only the files `absent` of it, is neither here nor to be had."""
    text = str(error).strip().splitlines()
    reason = f" ({text[0]})" if text else ""
    lacks = "is not here" if not absent else f"lacks {', '.join(Path(path).name for path in absent)}"
    return UsageError(
        f"the dataset {name!r} {lacks} and could not be downloaded{reason}. Get {source} and unpack it "
        f"so that {place} exists, or name the folder that holds it by --data-root or MUBENCH_DATA"
    )
