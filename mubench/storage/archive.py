"""An archive of records: a zip with a digest of every file in it, read as if a stranger had made it.

Members: `archive.json` (the digests and what the archive is of), `records/KEY/...` as in a store, and
`results/...`, the numbers of a run. Nothing is unpickled, and nothing is written before all is checked.
"""

from __future__ import annotations

import hashlib
import re
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mubench.errors import UsageError, quote
from mubench.storage.files import scratch_beside
from mubench.storage.store import ABOUT as RECORD
from mubench.storage.store import ARRAYS, WEIGHTS

ABOUT = "archive.json"
RESULTS = ("manifest.json", "cells.csv", "histograms.json")
MEMBER = re.compile(
    rf"(records/[0-9a-f]{{64}}/({'|'.join(map(re.escape, (RECORD, ARRAYS, WEIGHTS)))})"
    rf"|results/({'|'.join(map(re.escape, RESULTS))}))"
)
# An archive may hold this many files and unpack to so many times its size; small ones may to more.
MOST_FILES, MOST_RATIO, SMALL = 1_000_000, 100, 64 << 20
# What is read into memory at once: archive.json and the results.
MOST_TEXT = 256 << 20
CHUNK = 1 << 20
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError, RuntimeError)

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class About(BaseModel):
    """archive.json. files: member -> size in bytes and SHA-256. suite: what the results are of, or "".

    numerics: the version of mubench's numerics. twins: of the results' cells, what is the same on every
    machine (see `planning.twins`) -> the key.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    format: Literal[1] = 1
    mubench: str
    numerics: int
    suite: str = ""
    twins: dict[Digest, Digest] = {}
    files: dict[str, tuple[Annotated[int, Field(ge=0)], Digest]]


def write_archive(path: Path, files: Iterable[tuple[str, bytes]], **facts: Any) -> About:
    """Write the members (name, content) and what `About` says of them; the file is there whole or not at all.

    The same content makes the same bytes. UsageError if it cannot be written.
    """
    scratch = scratch_beside(path)
    digests: dict[str, tuple[int, str]] = {}
    try:
        with zipfile.ZipFile(scratch, "x", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name, content in files:
                digests[name] = len(content), hashlib.sha256(content).hexdigest()
                archive.writestr(_info(name), content, zipfile.ZIP_DEFLATED, 9)
            about = About(files=digests, **facts)
            archive.writestr(_info(ABOUT), about.model_dump_json(indent=0), zipfile.ZIP_DEFLATED, 9)
        scratch.replace(path)
    except OSError as error:
        raise UsageError(f"archive {path}: cannot be written: {error.strerror}") from None
    finally:
        scratch.unlink(missing_ok=True)
    return about


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)  # of 1980: the time is no part of the content
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    return info


@dataclass(frozen=True)
class Archive:
    """An archive whose members' names, kinds and sizes are as they should be; contents: see `copy`."""

    path: Path
    about: About

    @cached_property
    def records(self) -> Mapping[str, list[str]]:
        """The key of each record -> the names of its files."""
        found: dict[str, list[str]] = {}
        for member in self.about.files:
            kind, _, rest = member.partition("/")
            if kind == "records":
                found.setdefault(rest.partition("/")[0], []).append(rest.partition("/")[2])
        return found

    @cached_property
    def results(self) -> list[str]:
        """The names of the results' files."""
        return [m.partition("/")[2] for m in self.about.files if m.startswith("results/")]

    @cached_property
    def digest(self) -> str:
        """What names the archive's content: SHA-256 of all digests."""
        return hashlib.sha256(self.about.model_dump_json().encode()).hexdigest()

    @property
    def size(self) -> int:
        """What it unpacks to, in bytes."""
        return sum(size for size, _ in self.about.files.values())

    def unpack(self, targets: Mapping[str, Path], report: Callable[[int], None] = lambda _: None) -> None:
        """Write members (name -> new file); UsageError unless each has the size and digest it should.

        report: called with the number of bytes after each.
        """
        try:
            with zipfile.ZipFile(self.path) as archive:
                for member, target in targets.items():
                    self._copy(archive, member, target)
                    report(self.about.files[member][0])
        except (zipfile.BadZipFile, KeyError, NotImplementedError) as error:
            raise _refused(self.path, str(error)) from None

    def read(self, member: str) -> bytes:
        """The content of a member of the results; UsageError as `unpack`."""
        with tempfile.TemporaryDirectory() as folder:
            self.unpack({member: Path(folder) / "file"})
            return (Path(folder) / "file").read_bytes()

    def _copy(self, archive: zipfile.ZipFile, member: str, target: Path) -> None:
        size, digest = self.about.files[member]
        sha, left = hashlib.sha256(), size
        with archive.open(member) as source, target.open("xb") as file:
            while chunk := _read(source, min(CHUNK, left + 1), self.path, member):
                left -= len(chunk)
                if left < 0:
                    raise _refused(self.path, f"{member} is larger than it says")
                sha.update(chunk)
                file.write(chunk)
        if left or sha.hexdigest() != digest:
            raise _refused(self.path, f"{member} does not match its digest")


def open_archive(path: Path) -> Archive:
    """The archive, its names, kinds and sizes checked; UsageError, in one line, for what is wrong with it."""
    try:
        if not path.is_file():
            reason = "it is not a file" if path.exists() else "there is no such file"
            raise UsageError(f"archive {path}: {reason}")
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(path, members)
            if ABOUT not in archive.namelist():
                raise _refused(path, f"it has no {ABOUT}")
            with archive.open(ABOUT) as file:
                text = _read(file, MOST_TEXT + 1, path, ABOUT)
    except _BROKEN as error:
        raise _refused(path, str(getattr(error, "strerror", None) or error)) from None
    try:
        about = About.model_validate_json(text)
    except (ValidationError, RecursionError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": "too deep"}
        place = ".".join(map(str, first["loc"]))
        raise _refused(path, f"{ABOUT}: {place + ': ' if place else ''}{first['msg']}") from None
    sizes = {m.filename: m.file_size for m in members if m.filename != ABOUT}
    if odd := sizes.keys() ^ about.files.keys():
        raise _refused(path, f"{quote(min(odd))} is not both in it and in its {ABOUT}")
    for name, (size, _) in about.files.items():
        if sizes[name] != size:
            raise _refused(path, f"{name} has {sizes[name]} bytes and should have {size}")
    return Archive(path, about)


def _read(file: Any, count: int, path: Path, member: str) -> bytes:
    try:
        data: bytes = file.read(count)
    except _BROKEN as error:
        raise _refused(path, f"{member}: {error}") from None
    return data


def _refused(path: Path, reason: str) -> UsageError:
    return UsageError(f"archive {path}: {reason}; nothing of it is used")


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """UsageError for names that lead elsewhere, links, devices, duplicates, strange files and bombs."""
    if len(members) > MOST_FILES:
        raise _refused(path, f"it holds {len(members):,} files, more than {MOST_FILES:,}")
    seen: set[str] = set()
    for member in members:
        name = member.orig_filename
        if reason := _why_not(member, name):
            raise _refused(path, f"{quote(name)} {reason}")
        if name in seen:
            raise _refused(path, f"{quote(name)} is in it twice")
        seen.add(name)
        if name.startswith(("results/", ABOUT)) and member.file_size > MOST_TEXT:
            raise _refused(path, f"{quote(name)} unpacks to {member.file_size:,} bytes")
    total, packed = sum(m.file_size for m in members), path.stat().st_size
    if total > max(SMALL, MOST_RATIO * packed):
        raise _refused(path, f"its {packed:,} bytes unpack to {total:,}, which no records do")


def _why_not(member: zipfile.ZipInfo, name: str) -> str:
    """What is wrong with a member; "" if nothing is."""
    mode = stat.S_IFMT(member.external_attr >> 16)
    parts = re.split(r"[/\\]", name)
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        return "is an absolute path"
    if ".." in parts:
        return "leads out of the archive"
    if stat.S_ISLNK(mode):
        return "is a link"
    if mode not in (0, stat.S_IFREG):
        return "is a folder" if stat.S_ISDIR(mode) else "is no ordinary file"
    if name != ABOUT and not MEMBER.fullmatch(name):
        return "is no file of a record or of results"
    if member.flag_bits & 0x1:
        return "is encrypted"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is packed in a way that archives are not"
    return ""
