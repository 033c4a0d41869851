"""The split of the published SalUn code, flaw included: for reproducing published rows only.

That code draws validation images twice: with seed 1 to train the original, and with seed 2 for the
forget and retain sets. Of CIFAR-10's 45,000 forget and retain images, 4,488 (442 to 459 per class)
were then never seen by the original, so that doing nothing already looks like forgetting a tenth of
the test error. The rule (per class, `numpy.random.RandomState`) is that of OPTML-Group's
Unlearn-Saliency; which images a forget set holds is still mubench's own draw, by the suite's seed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mubench.errors import UsageError, class_label

Indices = NDArray[np.int64]

NAME = "salun-legacy"
# The published defaults: of the script that trains the original, and of those that unlearn.
ORIGINAL_SEED, UNLEARNING_SEED = 1, 2


def legacy_validation(
    labels: NDArray[np.int64],
    test: NDArray[np.bool_],
    val_percent: float,
    seed: int,
    classes: tuple[str, ...] = (),
) -> Indices:
    """The validation images that the published code draws with `seed`.

    Only the positions within each class's training images are drawn, so how many images two seeds
    share does not depend on the order of the data. Raises UsageError if a class would be left
    without training or validation images.
    """
    # The published code draws with RandomState; a named stream would draw other images.
    rng = np.random.RandomState(seed)
    held: list[Indices] = []
    for k in range(int(labels.max()) + 1):
        members = np.flatnonzero((labels == k) & ~test)
        count = int(val_percent / 100 * len(members))
        if not 0 < count < len(members):
            raise UsageError(
                f"{class_label(k, classes)} has {len(members)} training images; a validation share "
                f"of {val_percent:g} % in split {NAME!r} leaves it without training or validation images"
            )
        held.append(rng.choice(members, count, replace=False))
    return np.sort(np.concatenate(held))


def legacy_split(
    labels: NDArray[np.int64], test: NDArray[np.bool_], val_percent: float, classes: tuple[str, ...] = ()
) -> tuple[Indices, Indices, Indices, Indices]:
    """(train, val, test, original) indices: `original` trains the original, `train` is forget and retain."""
    train_all = np.flatnonzero(~test)
    first = legacy_validation(labels, test, val_percent, ORIGINAL_SEED, classes)
    val = legacy_validation(labels, test, val_percent, UNLEARNING_SEED, classes)
    return np.setdiff1d(train_all, val), val, np.flatnonzero(test), np.setdiff1d(train_all, first)
