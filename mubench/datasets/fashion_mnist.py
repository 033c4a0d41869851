"""Fashion-MNIST: 70,000 grey images of clothes, 28x28 pixels (Xiao et al., 2017).

Read from the official idx files: those of torchvision's layout, or of Debian's `dataset-fashion-mnist`.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mubench.api.dataset import ImageSpec, Raw, dataset
from mubench.datasets._official import check_downloads, data_root, missing
from mubench.errors import UsageError

# By https, unlike torchvision's place, which comes next.
SOURCE = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/"
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
IMAGES = ImageSpec((1, 28, 28), len(CLASSES), padding=2, flip=True)
# Of the uncompressed contents: Debian packs the same files anew, so the archives' own digests differ.
FILES = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


def _places(root: Path) -> list[Path]:
    return [root / "FashionMNIST" / "raw", root, DEBIAN]


def _find(name: str, folders: list[Path]) -> Path | None:
    candidates = [folder / f"{name}{end}" for folder in folders for end in ("", ".gz")]
    return next((path for path in candidates if path.exists()), None)


def read_idx(path: Path, sha256: str) -> NDArray[np.uint8]:
    """The array of an idx file of bytes, packed or not; UsageError if it is not the official content."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise UsageError(
            f"{path}: this is not the official file of fashion-mnist (the SHA-256 of its content is not "
            f"{sha256}); it is truncated or another file"
        )
    # magic number 0, 0, type 8 (bytes), number of dimensions; then each dimension, big-endian
    dimensions = np.frombuffer(data, ">i4", count=data[3], offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(dimensions)


@dataset("fashion-mnist", title="Fashion-MNIST", images=IMAGES)
def fashion_mnist() -> Raw:
    """60,000 training and 10,000 test images; random crop with padding 2, and flip: clothes have no side."""
    root = data_root()
    found = {name: _find(name, _places(root)) for name in FILES}
    if not all(found.values()):
        from torchvision.datasets import FashionMNIST

        # the name is that of the folder below the root
        official = type("FashionMNIST", (FashionMNIST,), {"mirrors": [SOURCE, *FashionMNIST.mirrors]})
        try:
            check_downloads()
            official(root, download=True)
        except (OSError, RuntimeError) as error:
            source = f"the four idx.gz files of {SOURCE} (or Debian's dataset-fashion-mnist)"
            place = root / "FashionMNIST" / "raw" / "train-images-idx3-ubyte.gz"
            raise missing("fashion-mnist", source, place, error) from None
        found = {name: _find(name, _places(root)) for name in FILES}
    arrays = [read_idx(path, FILES[name]) for name, path in found.items() if path]
    train, train_labels, test, test_labels = arrays
    labels = np.concatenate([train_labels, test_labels]).astype(np.int64)
    images = np.concatenate([train, test])[:, None]
    test_rows = np.arange(len(labels)) >= len(train)
    return Raw(images, labels, test_rows, CLASSES, IMAGES.padding, IMAGES.flip)
