"""What a trained model said about each set: the raw material of every metric.

Outputs are plain numpy arrays, so metrics need no torch, and numbers can be recomputed from a
stored record years later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

SetName = Literal["forget", "retain", "val", "test"]
SETS: tuple[SetName, ...] = ("forget", "retain", "val", "test")


@dataclass(frozen=True)
class Outputs:
    """Logits and labels of one model on forget, retain, validation and test.

    logits: set name -> (n, K) float32. labels: set name -> (n,) int64.
    features: "forget" and "retain" -> penultimate features (<= 500, d) float32 of fixed images.
    forgotten: the classes forgotten as a whole (class forgetting), else empty. All test images are
    stored; `test` as a metric means it is the images of the remaining classes.
    """

    logits: Mapping[str, NDArray[np.float32]]
    labels: Mapping[str, NDArray[np.int64]]
    features: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    forgotten: tuple[int, ...] = ()

    def of(self, name: SetName) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """(logits, labels) of a set; of "test", only the classes that are not forgotten."""
        z, y = self.logits[name], self.labels[name]
        if name == "test" and self.forgotten:
            keep = ~np.isin(y, self.forgotten)
            return z[keep], y[keep]
        return z, y
