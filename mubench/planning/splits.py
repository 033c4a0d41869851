"""Which images are for training, validation, test and forgetting: disjoint indices, and their digests.

The train/validation/test split is one and constant; seed i only decides forget set i. Drawing both
from different seeds, as some public code does, leaves images in the forget set that the original
never saw; `legacy_split` does so on request.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubench.errors import UsageError, class_label, quote, unknown
from mubench.planning.legacy_split import legacy_split
from mubench.planning.suite import EVERY, ClassForget, Forget, IndicesForget, RandomForget, SplitKind
from mubench.storage.files import read_text
from mubench.streams import numpy_stream

Indices = NDArray[np.int64]
# Of a file of indices: some ten million of them.
MOST_BYTES = 100_000_000


def digest_of(indices: Indices) -> str:
    """SHA-256 of the indices as little-endian int64."""
    return hashlib.sha256(indices.astype("<i8").tobytes()).hexdigest()


def split_digest(digests: Iterable[str]) -> str:
    """SHA-256 over the digests of a split's sets, in their order."""
    return hashlib.sha256("".join(digests).encode()).hexdigest()


@dataclass(frozen=True)
class Partition:
    """What no seed changes: sorted, disjoint dataset indices for training, validation and test.

    original: what the original is trained on, where that is not exactly `train` (legacy split).
    """

    train: Indices
    val: Indices
    test: Indices
    original: Indices | None = None

    def __post_init__(self) -> None:
        everything = np.concatenate([self.train, self.val, self.test])
        if len(np.unique(everything)) != len(everything):
            raise AssertionError("train, validation and test overlap")
        if self.original is not None and np.isin(self.test, self.original).any():
            raise AssertionError("the original was trained on test images")

    @property
    def seen(self) -> Indices:
        """What the original is trained on."""
        return self.train if self.original is None else self.original

    @cached_property
    def unseen(self) -> Indices:
        """Forget and retain images that the original was not trained on: none, unless legacy."""
        return np.setdiff1d(self.train, self.seen)

    @cached_property
    def val_seen(self) -> Indices:
        """Validation images that the original was trained on: none, unless legacy."""
        return np.intersect1d(self.val, self.seen)

    @property
    def sets(self) -> dict[str, Indices]:
        """The indices by the names they have in manifests."""
        sets = {"train": self.train, "val": self.val, "test": self.test}
        if self.original is not None:
            sets |= {"original": self.original, "unseen": self.unseen, "val_seen": self.val_seen}
        return sets

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each set."""
        return {name: digest_of(indices) for name, indices in self.sets.items()}


@dataclass(frozen=True)
class Split:
    """A partition and a forget set: sorted training indices. `forgotten`: classes forgotten as a whole."""

    partition: Partition
    forget: Indices
    forgotten: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        inside = np.isin(self.forget, self.train).all()
        if len(np.unique(self.forget)) != len(self.forget) or not inside:
            raise AssertionError("the forget set is not a set of training images")

    @property
    def train(self) -> Indices:
        """Forget and retain."""
        return self.partition.train

    @property
    def val(self) -> Indices:
        """Validation."""
        return self.partition.val

    @property
    def test(self) -> Indices:
        """Test."""
        return self.partition.test

    @cached_property
    def retain(self) -> Indices:
        """Train without forget; both together are what the original was trained on, unless legacy."""
        return np.setdiff1d(self.train, self.forget, assume_unique=True)

    @property
    def sets(self) -> dict[str, Indices]:
        """The partition's sets, forget and retain."""
        return {**self.partition.sets, "forget": self.forget, "retain": self.retain}

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each set."""
        new = {"forget": digest_of(self.forget), "retain": digest_of(self.retain)}
        return {**self.partition.digests, **new}

    @cached_property
    def digest(self) -> str:
        """`split_digest` of all sets: the name of the split's file."""
        return split_digest(self.digests.values())

    def manifest(self) -> dict[str, dict[str, Any]]:
        """Count and SHA-256 of each set; of a legacy split also how far the original's set is off."""
        return {n: {"count": len(s), "sha256": self.digests[n]} for n, s in self.sets.items()}

    def to_json(self) -> str:
        """The whole manifest: indices, counts and digests of every set."""
        sets = self.sets
        parts = {n: {**entry, "indices": sets[n].tolist()} for n, entry in self.manifest().items()}
        return json.dumps({"forgotten": self.forgotten, **parts})


def check_saved(path: Path) -> None:
    """ValueError unless the file, written by `Split.to_json`, matches its digests and its name."""
    parts = json.loads(path.read_text(encoding="utf-8"))
    del parts["forgotten"]
    for name, part in parts.items():
        if digest_of(np.array(part["indices"], dtype=np.int64)) != part["sha256"]:
            raise ValueError(f"the indices of {name} do not match their digest")
    if split_digest(part["sha256"] for part in parts.values()) != path.stem:
        raise ValueError("it does not match its name")


def make_split(
    labels: NDArray[np.int64], test: NDArray[np.bool_], val_percent: float, classes: tuple[str, ...] = ()
) -> tuple[Indices, Indices, Indices]:
    """(train, val, test) indices; validation is `val_percent` of the training images of each class.

    Raises UsageError if a class would be left without training or validation images.
    """
    rng = numpy_stream(0, "split")
    held: list[Indices] = []
    for k in range(int(labels.max()) + 1):
        members = np.flatnonzero((labels == k) & ~test)
        count = round(len(members) * val_percent / 100)
        if not 0 < count < len(members):
            raise UsageError(
                f"{class_label(k, classes)} has {len(members)} training images; a validation share "
                f"of {val_percent:g} % leaves it without training or validation images"
            )
        held.append(rng.permutation(members)[:count])
    val = np.sort(np.concatenate(held))
    return np.setdiff1d(np.flatnonzero(~test), val), val, np.flatnonzero(test)


def make_partition(
    kind: SplitKind,
    labels: NDArray[np.int64],
    test: NDArray[np.bool_],
    val_percent: float,
    classes: tuple[str, ...] = (),
) -> Partition:
    """The partition of this kind of split.

    Raises UsageError if a class would be left without training or validation images.
    """
    draw = legacy_split if kind == "salun-legacy" else make_split
    return Partition(*draw(labels, test, val_percent, classes))


def forget_indices(
    forget: Forget, train: Indices, labels: NDArray[np.int64], classes: tuple[str, ...], seed: int
) -> tuple[Indices, tuple[int, ...]]:
    """The forget set of a seed, and the classes it forgets as a whole.

    Raises UsageError if the set comes out empty or everything, does not lie in the training set, or
    takes a whole class along by chance.
    """
    forgotten: tuple[int, ...] = ()
    match forget:
        case RandomForget(percent=percent, seed=fixed):
            seed = seed if fixed is None else fixed
            count = round(len(train) * percent / 100)
            chosen = numpy_stream(seed, "forget").permutation(train)[:count]
            what = f"{percent:g} % of {len(train)} training images"
        case ClassForget(target=target):
            k = class_number(target, classes)
            chosen, forgotten = train[labels[train] == k], (k,)
            what = f"class {k} ({classes[k]})"
        case IndicesForget(file=file):
            chosen, what = _from_file(Path(file), train), f"the indices of {file}"
    if not 0 < len(chosen) < len(train):
        state = "empty" if not len(chosen) else "all of the training set"
        raise UsageError(f"the forget set is {state}: {what}")
    taken = np.bincount(labels[chosen], minlength=len(classes))
    emptied = np.flatnonzero((taken > 0) & (taken == np.bincount(labels[train], minlength=len(classes))))
    emptied = np.setdiff1d(emptied, forgotten)
    if len(emptied):
        raise UsageError(
            f"{what}: with forget seed {seed} no training image of {class_label(emptied[0], classes)} "
            "remains; forget fewer, or forget the class as a whole"
        )
    return np.sort(chosen), forgotten


def class_number(target: int | str, classes: Sequence[str]) -> int:
    """The number of a class given by number or name; UsageError if there is no such class."""
    if target == EVERY:
        raise UsageError(f'forget.class = "{EVERY}" is one forget set per class, not one forget set')
    if isinstance(target, int):
        if target >= len(classes):
            raise UsageError(
                f"forget.class = {target} is out of range: there are classes 0..{len(classes) - 1}"
            )
        return target
    numbers = [k for k, name in enumerate(classes) if name == target]
    if not numbers:
        raise unknown("class", target, [*classes, EVERY], "forget.class")
    if len(numbers) > 1:
        raise UsageError(f"forget.class: classes {numbers} are all called {quote(target)}; give a number")
    return numbers[0]


def _from_file(path: Path, train: Indices) -> Indices:
    where = f"forget.file {quote(str(path))[1:-1]}"
    try:
        chosen = np.array([int(word) for word in read_text(path, MOST_BYTES).split()], dtype=np.int64)
    except OSError as error:
        raise UsageError(f"{where}: cannot be read: {error.strerror}") from None
    except (ValueError, OverflowError):
        raise UsageError(f"{where}: one dataset index a line is needed") from None
    strange = chosen[~np.isin(chosen, train)]
    if len(strange):
        raise UsageError(
            f"{where}: index {strange[0]} is not a training image: there is none such, or it is a test image "
            "or one of those held back for validation (val_percent), which no model is trained on"
        )
    if len(np.unique(chosen)) < len(chosen):
        raise UsageError(f"{where}: an index is named twice")
    return chosen
