"""Files written whole or not at all, and keys by content."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock
from pydantic_core import from_json

# made once: `json.dumps` would make one for each of a hundred thousand keys
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
# What stands before and after the digest of `sealed`.
_SEAL, _END = b', "sealed": "', b'"}'


def key_of(facts: Any) -> str:
    """SHA-256 of facts (plain data) as canonical JSON."""
    return hashlib.sha256(_CANONICAL.encode(facts).encode()).hexdigest()


def scratch_beside(path: Path) -> Path:
    """A new name in the same folder, for what will have the name `path` when it is whole."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")


def write_atomic(path: Path, data: bytes, *, lasting: bool = True) -> None:
    """Write a file so that readers see the old content or the new.

    lasting: also after a power cut, which takes its time; without it a cut may leave an empty file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = scratch_beside(path)
    try:
        with scratch.open("xb") as file:  # new: a link that somebody has put there is not followed
            file.write(data)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)  # a full disk does not say where it is full
        raise
    finally:
        scratch.unlink(missing_ok=True)


def read_folder(folder: Path) -> dict[str, bytes]:
    """File name -> content of all files of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make a folder of these files whole or not at all; one that is there stays."""
    scratch = scratch_beside(folder)
    scratch.mkdir(parents=True)
    try:
        for name, data in files.items():
            (scratch / name).write_bytes(data)
        if not folder.exists():
            scratch.rename(folder)
    except OSError:
        if not folder.is_dir():  # another process was first, with the same content
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def read_text(path: Path, limit: int) -> str:
    """The text of an ordinary file of at most `limit` bytes; a pipe or device would never end.

    Raises OSError, whose `strerror` says so, for anything else.
    """
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):
        raise OSError(errno.EINVAL, "not an ordinary file", str(path))
    if about.st_size > limit:
        raise OSError(errno.EFBIG, f"larger than {limit:,} bytes", str(path))
    return path.read_text(encoding="utf-8")


def open_new(path: Path) -> BinaryIO:
    """Open a new file for writing in place of whatever has this name; a link is replaced, not followed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    return path.open("xb")


def sealed(table: Mapping[str, Any], indent: int | None = None) -> bytes:
    """A table that is not empty as JSON whose last entry is the SHA-256 of the text before it.

    Raises ValueError for numbers that are not finite.
    """
    text = json.dumps(table, indent=indent, allow_nan=False)[:-1].rstrip().encode()
    return text + _SEAL + hashlib.sha256(text).hexdigest().encode() + _END


def parsed(data: bytes) -> Any:
    """What JSON says, in half the time that `json` takes; ValueError or RecursionError if it is none."""
    try:
        return from_json(data)
    except ValueError:  # it is none; or it holds half a surrogate pair, which Python allows in a string
        return json.loads(data.decode())


def unsealed(data: bytes, name: str = "it") -> dict[str, Any]:
    """The table that `sealed` wrote, without its digest; ValueError if `name` is not as it was written.

    What earlier versions wrote has in place of the seal the `key_of` the rest, or of the `value` that it is.
    """
    table = parsed(data)
    if not isinstance(table, dict):
        raise ValueError(f"{name} is no table")
    text, seal, digest = data.rpartition(_SEAL)
    if seal:
        del table["sealed"]
        whole = digest == hashlib.sha256(text).hexdigest().encode() + _END
    else:
        earlier = table.pop("sha256", None)
        whole = earlier == key_of(table["value"] if table.keys() == {"value"} else table)
    if not whole:
        raise ValueError(f"{name} does not match its digest")
    return table


def save_json(path: Path, value: Any, *, lasting: bool = True) -> None:
    """Write plain data with their digest, for `load_json`, which finds out if they were cut short.

    lasting: see `write_atomic`; what can be computed again need not be.
    """
    write_atomic(path, sealed({"value": value}), lasting=lasting)


def load_json(path: Path) -> Any | None:
    """What `save_json` wrote, or None if there is no such file or it does not match its digest."""
    try:
        return unsealed(path.read_bytes())["value"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def lock_file(path: Path) -> FileLock:
    """A lock that everyone who may write to its folder can take, whoever made the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path, mode=0o666 & path.parent.stat().st_mode)


def sync_folder(folder: Path) -> None:
    """Let the names in a folder survive a power cut, where the system can be asked to."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
