"""Who is trained on, who is validated on, who is forgotten: indices, asserted disjoint, hashed.

The train/validation/test split is one and constant; seed i only decides forget set i. Drawing both
from different seeds, as some public code does, leaves images in the forget set that the original
never saw; `mubench.data.legacy` does so on request.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubench.errors import UsageError, class_label
from mubench.planning.legacy_split import legacy_split
from mubench.planning.suite import EVERY, ClassForget, Forget, IndicesForget, RandomForget, SplitKind
from mubench.streams import numpy_stream

Indices = NDArray[np.int64]


def digest_of(indices: Indices) -> str:
    """SHA-256 of the indices as little-endian int64."""
    return hashlib.sha256(indices.astype("<i8").tobytes()).hexdigest()


@dataclass(frozen=True)
class Split:
    """Sorted, disjoint dataset indices. `forgotten` are the classes forgotten as a whole.

    original: what the original was trained on, where that is not exactly `train` (legacy split).
    """

    train: Indices
    val: Indices
    test: Indices
    forget: Indices
    forgotten: tuple[int, ...] = ()
    original: Indices | None = None

    def __post_init__(self) -> None:
        everything = np.concatenate([self.train, self.val, self.test])
        if len(np.unique(everything)) != len(everything):
            raise AssertionError("train, validation and test overlap")
        if len(np.unique(self.forget)) != len(self.forget) or not np.isin(self.forget, self.train).all():
            raise AssertionError("the forget set is not a set of training images")
        if self.original is not None and np.isin(self.test, self.original).any():
            raise AssertionError("the original was trained on test images")

    @property
    def retain(self) -> Indices:
        """Train without forget; both together are what the original was trained on, unless legacy."""
        return np.setdiff1d(self.train, self.forget)

    @property
    def unseen(self) -> Indices:
        """Forget and retain images that the original was not trained on: none, unless legacy."""
        return np.setdiff1d(self.train, self.train if self.original is None else self.original)

    @property
    def val_seen(self) -> Indices:
        """Validation images that the original was trained on: none, unless legacy."""
        return np.intersect1d(self.val, self.train if self.original is None else self.original)

    def manifest(self) -> dict[str, Any]:
        """Count and SHA-256 of each set; of a legacy split also how far the original's set is off."""
        names = ["train", "val", "test", "forget", "retain"]
        if self.original is not None:
            names += ["original", "unseen", "val_seen"]
        return {
            name: {"count": len(part), "sha256": digest_of(part)}
            for name in names
            for part in [getattr(self, name)]
        }

    @property
    def digest(self) -> str:
        """SHA-256 over the digests of all sets: the name of the split's file."""
        parts = "".join(entry["sha256"] for entry in self.manifest().values())
        return hashlib.sha256(parts.encode()).hexdigest()

    def to_json(self) -> str:
        """The whole manifest: indices, counts and digests of every set."""
        parts = self.manifest()
        for name, entry in parts.items():
            entry["indices"] = getattr(self, name).tolist()
        return json.dumps({"forgotten": self.forgotten, **parts})


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


def make_sets(
    kind: SplitKind,
    labels: NDArray[np.int64],
    test: NDArray[np.bool_],
    val_percent: float,
    classes: tuple[str, ...] = (),
) -> tuple[Indices, Indices, Indices, Indices | None]:
    """(train, val, test, original) of this kind of split; original is None where it is train.

    Raises UsageError if a class would be left without training or validation images.
    """
    if kind == "salun-legacy":
        return legacy_split(labels, test, val_percent, classes)
    return (*make_split(labels, test, val_percent, classes), None)


def forget_indices(
    forget: Forget, train: Indices, labels: NDArray[np.int64], classes: tuple[str, ...], seed: int
) -> tuple[Indices, tuple[int, ...]]:
    """The forget set of a seed, and the classes it forgets as a whole.

    Raises UsageError if the set comes out empty or everything, does not lie in the training set, or
    takes a whole class along by chance.
    """
    forgotten: tuple[int, ...] = ()
    match forget:
        case RandomForget(percent=percent):
            count = round(len(train) * percent / 100)
            chosen = numpy_stream(seed, "forget").permutation(train)[:count]
            what = f"{percent:g} % of {len(train)} training images"
        case ClassForget(target=target):
            if target == EVERY:
                raise UsageError(f'forget.class = "{EVERY}" is one forget set per class, not one forget set')
            if target >= len(classes):
                raise UsageError(
                    f"forget.class = {target} is out of range: there are classes 0..{len(classes) - 1}"
                )
            chosen, forgotten = train[labels[train] == target], (target,)
            what = f"class {target} ({classes[target]})"
        case IndicesForget(file=file):
            chosen, what = _from_file(Path(file), train), f"the indices of {file}"
    if not 0 < len(chosen) < len(train):
        state = "empty" if not len(chosen) else "all of the training set"
        raise UsageError(f"the forget set is {state}: {what}")
    emptied = np.setdiff1d(labels[chosen], [*labels[np.setdiff1d(train, chosen)], *forgotten])
    if len(emptied):
        k = emptied[0]
        raise UsageError(
            f"{what}: with forget seed {seed} no training image of {class_label(k, classes)} remains; "
            "forget fewer, or forget the class as a whole"
        )
    return np.sort(chosen), forgotten


def _from_file(path: Path, train: Indices) -> Indices:
    try:
        words = path.read_text(encoding="utf-8").split()
        chosen = np.array([int(w) for w in words], dtype=np.int64)
    except OSError as error:
        raise UsageError(f"forget.file {path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"forget.file {path}: one dataset index a line is needed: {error}") from None
    strange = chosen[~np.isin(chosen, train)]
    if len(strange):
        raise UsageError(f"forget.file {path}: index {strange[0]} is not a training image")
    if len(np.unique(chosen)) < len(chosen):
        raise UsageError(f"forget.file {path}: an index is named twice")
    return chosen
