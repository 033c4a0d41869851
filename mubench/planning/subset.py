"""Only so many images of each class of a dataset: the options, and which images those are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubench.errors import UsageError, class_label
from mubench.streams import numpy_stream

# The options that every dataset takes besides its own.
SUBSET = ("train_per_class", "test_per_class")


def subset(
    labels: NDArray[np.int64],
    test: NDArray[np.bool_],
    train_per_class: Any,
    test_per_class: Any,
    classes: tuple[str, ...] = (),
) -> NDArray[np.int64] | None:
    """Sorted indices of so many training and test images of each class; None if all are wanted.

    A smaller subset lies inside a larger one. UsageError if a class has too few images.
    """
    if train_per_class is None and test_per_class is None:
        return None
    kept = []
    for part, wanted in (("train", train_per_class), ("test", test_per_class)):
        if wanted is not None and (not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 1):
            raise UsageError(f"data.{part}_per_class must be a whole number above 0, got {wanted!r}")
        for k in range(int(labels.max()) + 1):
            members = np.flatnonzero((labels == k) & (test == (part == "test")))
            if wanted is not None and len(members) < wanted:
                raise UsageError(
                    f"data.{part}_per_class = {wanted}: {class_label(k, classes)} has only "
                    f"{len(members)} {part} images"
                )
            order = numpy_stream(0, "subset", part, str(k)).permutation(members)
            kept.append(order[:wanted])
    return np.sort(np.concatenate(kept))
