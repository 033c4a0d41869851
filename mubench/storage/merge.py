"""Takes an archive's records into a store: all of them or, whatever happens, none."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from filelock import Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mubench.errors import UsageError
from mubench.storage.archive import RESULTS, Archive
from mubench.storage.holding import store_lock
from mubench.storage.journal import Staging, recover, staging
from mubench.storage.store import ABOUT, DAMAGE, Record, Store, read_record

REFERENCES = "references"
# Conflicts that an error names.
_NAMED = 3
# What may differ between two runs of the same cell: what it took, and where it ran.
_PLACE = ("environment",)
_TAKEN = ("seconds", "shared", "peak_memory_mib")


class _Cost(BaseModel):
    """What a record's cost holds."""

    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    shared: bool
    read: dict[str, int]
    forward: int
    backward: int
    peak_memory_mib: float | None


class _Said(BaseModel):
    """What a record must say of itself for tables to be made of it; it may say more."""

    model_config = ConfigDict(extra="allow")

    key: str
    method: str | None
    seed: int
    cost: _Cost
    environment: dict[str, Any]
    forgotten: list[int] = []
    notes: dict[str, Any] | None = None


@dataclass(frozen=True)
class Merged:
    """How many records were new, and how many were there: with the same outcome, whatever their times.

    results: the folder with the numbers of the archive's run, if it has any.
    """

    new: int
    present: int
    results: Path | None


def merge(archive: Archive, store: Store, report: Callable[[int], None] = lambda _: None) -> Merged:
    """Take the records in, and the numbers of a run under `references/`; what is there already stays.

    report: called with bytes as they are checked. Raises UsageError, and leaves the store as it was, for
    whatever does not match its digest, for an equal key with another outcome, and for a store without room.
    """
    try:
        recover(store.root)
        _check_room(archive, store)
        with staging(store.root) as place:
            _unpack(archive, place, report)
            for key in archive.records:
                _check(archive, key, place.folder / _place(key))
            with store_lock(store.root):
                new = _new(archive, store, place)
                marks = {_place(key): ABOUT for key in new}
                home = results_folder(archive, store)
                if archive.results and not home.is_dir():
                    marks[f"{REFERENCES}/{home.name}"] = archive.results[0]
                place.move(marks, lambda it: _move(it, place, store, archive))
    except OSError as error:
        raise UsageError(
            f"the store {store.root} cannot be written: {error.strerror}; it is as it was"
        ) from error
    for key in new:
        store.forget_failure(key)
    return Merged(len(new), len(archive.records) - len(new), home if archive.results else None)


def results_folder(archive: Archive, store: Store) -> Path:
    """Where the numbers of the archive's run are kept in the store, or would be."""
    return store.root / REFERENCES / archive.digest


def _place(key: str) -> str:
    return f"records/{key[:2]}/{key}"


def _check_room(archive: Archive, store: Store) -> None:
    there = next(p for p in (store.root, *store.root.parents) if p.exists())
    free = shutil.disk_usage(there).free
    if archive.size > free:
        raise UsageError(
            f"archive {archive.path}: it needs {archive.size:,} bytes; {there} has {free:,} free"
        )


def _unpack(archive: Archive, place: Staging, report: Callable[[int], None]) -> None:
    """Every file into the staging folder, by its digest."""
    targets: dict[str, Path] = {}
    for key, names in archive.records.items():
        folder = place.folder / _place(key)
        folder.mkdir(parents=True)
        targets |= {f"records/{key}/{name}": folder / name for name in names}
    if archive.results:
        home = place.folder / REFERENCES / archive.digest
        home.mkdir(parents=True)
        targets |= {f"results/{name}": home / name for name in RESULTS if name in archive.results}
    archive.unpack(targets, report)


def _check(archive: Archive, key: str, folder: Path) -> None:
    """UsageError unless it is a whole record, of this key, of which tables can be made."""
    try:
        about, files = read_record(folder)
        if sorted(files) != sorted(archive.records[key]):
            raise ValueError("its files are not those that it lists")
        said = _Said.model_validate(about)
        if said.key != key:
            raise ValueError(f"it says that it is {said.key[:12]}")
        if said.method is not None:
            outputs = Record(str(folder), about).outputs()
            for name, logits in outputs.logits.items():
                if logits.ndim != 2 or outputs.labels[name].shape != logits.shape[:1]:
                    raise ValueError(f"its logits and labels of {name} do not belong together")
    except (*DAMAGE, ValidationError) as error:
        what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise UsageError(f"archive {archive.path}: record {key[:12]}: {what}; nothing was imported") from None


def _new(archive: Archive, store: Store, place: Staging) -> list[str]:
    """The keys that the store lacks; UsageError naming those that it has with another outcome."""
    new, other = [], []
    for key in archive.records:
        if (record := store.get(key)) is None:
            new.append(key)
        elif _differ(read_record(place.folder / _place(key))[0], record.about):
            other.append(key)
    if other:
        more = f" and {len(other) - _NAMED} more" if len(other) > _NAMED else ""
        raise UsageError(
            f"archive {archive.path}: the store has another outcome under the same key: "
            f"{', '.join(key[:12] for key in other[:_NAMED])}{more}; nothing was imported"
        )
    return new


def _outcome(about: Mapping[str, Any]) -> Any:
    """What a record says that every run of the cell must agree on."""
    kept = {name: value for name, value in about.items() if name not in _PLACE}
    return {**kept, "cost": {name: v for name, v in kept["cost"].items() if name not in _TAKEN}}


def _differ(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    """Whether two records have another outcome; what only one of them says was not asked of the other."""
    first, second = _outcome(one), _outcome(two)
    return any(first[name] != second[name] for name in first.keys() & second.keys())


def _move(it: str, place: Staging, store: Store, archive: Archive) -> None:
    """A record only while no run makes it: that run would stumble over it."""
    (store.root / it).parent.mkdir(parents=True, exist_ok=True)
    if it.startswith(REFERENCES):
        (place.folder / it).rename(store.root / it)
        return
    key = it.rpartition("/")[2]
    try:
        with store.lock(key).acquire(blocking=False):
            if (store.root / it).exists():  # since `_new` looked
                raise Timeout(it)
            (place.folder / it).rename(store.root / it)
    except Timeout:
        raise UsageError(
            f"archive {archive.path}: a run is making the record {key[:12]} at this moment; nothing was "
            "imported; try again when it has ended"
        ) from None
