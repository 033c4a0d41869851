"""Files written whole or not at all, and keys by content."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any


def key_of(facts: Any) -> str:
    """SHA-256 of facts (plain data) as canonical JSON."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that readers see the old content or the new, also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with scratch.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)  # a full disk does not say where it is full
        raise
    finally:
        scratch.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Let the names in a folder survive a power cut, where the system can be asked to."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def save_json(path: Path, value: Any) -> None:
    """Write a value as JSON beside its digest."""
    write_atomic(path, json.dumps({"value": value, "sha256": key_of(json.loads(json.dumps(value)))}).encode())


def load_json(path: Path) -> Any | None:
    """The value of a file that `save_json` wrote; None if there is none or it is not as it was written."""
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        return saved["value"] if saved["sha256"] == key_of(saved["value"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
