"""SVHN: house numbers in 32x32 colour pixels (Netzer et al., 2011), cropped digits, by torchvision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mubench.api.dataset import ImageSpec, Raw, dataset
from mubench.datasets._official import torchvision_files

IMAGES = ImageSpec((3, 32, 32), 10, padding=4)


@dataset("svhn", title="SVHN, cropped digits", images=IMAGES)
def svhn() -> Raw:
    """73,257 training and 26,032 test images; random crop with padding 4, no flip: digits have a side."""
    from torchvision.datasets import SVHN

    parts = [SVHN.split_list[part] for part in ("train", "test")]

    def make(root: Path, download: bool) -> tuple[Any, Any]:
        return SVHN(root, "train", download=download), SVHN(root, "test", download=download)

    train, test = torchvision_files(
        "svhn", make, [(part[1], part[2]) for part in parts], " and ".join(p[0] for p in parts), parts[0][1]
    )
    return Raw(
        np.ascontiguousarray(np.concatenate([train.data, test.data])),
        np.concatenate([train.labels, test.labels]).astype(np.int64),
        np.arange(len(train.labels) + len(test.labels)) >= len(train.labels),
        tuple("0123456789"),
        padding=IMAGES.padding,
    )
