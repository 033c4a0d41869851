"""SVHN: house numbers in 32x32 colour pixels (Netzer et al., 2011), cropped digits, by torchvision."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mubench.api.dataset import ImageSpec, Raw, dataset
from mubench.datasets._official import official_files

IMAGES = ImageSpec((3, 32, 32), 10, padding=4)

SOURCE = "https://ufldl.stanford.edu/housenumbers/"
FILES = {
    "train_32x32.mat": "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
    "test_32x32.mat": "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
}


def _download(root: Path) -> None:
    from torchvision.datasets.utils import download_url

    for name in FILES:
        if not (root / name).exists():
            download_url(SOURCE + name, str(root), name)


@dataset("svhn", title="SVHN, cropped digits", images=IMAGES)
def svhn() -> Raw:
    """73,257 training and 26,032 test images; random crop with padding 4, no flip: digits have a side."""
    from torchvision.datasets import SVHN

    root = official_files("svhn", _download, FILES, f"{SOURCE} ({' and '.join(FILES)})", "train_32x32.mat")
    train, test = SVHN(root, "train"), SVHN(root, "test")
    return Raw(
        np.ascontiguousarray(np.concatenate([train.data, test.data])),
        np.concatenate([train.labels, test.labels]).astype(np.int64),
        np.arange(len(train.labels) + len(test.labels)) >= len(train.labels),
        tuple("0123456789"),
        padding=IMAGES.padding,
    )
