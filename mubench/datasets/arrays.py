"""Arrays of your own: an .npz file with `images`, `labels` and, if there is a test set, `test`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubench.api.dataset import Raw, dataset
from mubench.datasets._official import data_root
from mubench.errors import UsageError
from mubench.streams import numpy_stream

TEST_SHARE = 0.2


def _where(file: str) -> Path:
    """A relative file lies in the data root if it is there, else in the working directory."""
    given = Path(file).expanduser()
    below = data_root() / given
    return below if below.is_file() else given.absolute()


def fingerprint(*, file: str, **options: object) -> str:
    """Changes when the file does; reads no image."""
    path = _where(file)
    if not path.is_file():
        raise UsageError(f"dataset 'arrays': {path}: there is no such file; data.file names an .npz file")
    about = path.stat()
    return f"{path} {about.st_size} {about.st_mtime_ns}"


@dataset("arrays", title="arrays of a file")
def arrays(*, file: str, padding: int = 0, flip: bool = False, name: str = "arrays of a file") -> Raw:
    """`images`, `labels` and `test` of an .npz file, as `raw_of` takes them.

    file: in the data root or the working directory. padding, flip: the augmentation. name: how captions
    call the data.
    """
    path = _where(file)
    try:
        with np.load(path, allow_pickle=False) as held:
            parts = {part: held[part] for part in ("images", "labels", "test") if part in held}
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(
            f"dataset 'arrays': {path}: expected an .npz file of plain arrays: {error}"
        ) from None
    if missing := [part for part in ("images", "labels") if part not in parts]:
        raise UsageError(
            f"dataset 'arrays': {path}: expected arrays called images and labels, no {missing[0]}"
        )
    return raw_of(parts["images"], parts["labels"], parts.get("test"), padding=padding, flip=flip)


def raw_of(
    images: NDArray[Any],
    labels: NDArray[Any],
    test: NDArray[Any] | None = None,
    *,
    padding: int = 0,
    flip: bool = False,
) -> Raw:
    """These arrays as a dataset, checked.

    images: uint8, 0 to 255: (n, C, H, W), (n, H, W, 3) or (n, H, W). labels: (n,) whole numbers, 0 to K-1.
    test: (n,) bool, the test images; without it a fifth of each class, drawn from a constant stream.

    Raises ValueError, in one line, for anything else.
    """
    if images.dtype != np.uint8:
        hint = "; for values in [0, 1]: (255 * images).round().astype('uint8')" * (images.dtype.kind == "f")
        raise ValueError(f"the images are {images.dtype}; expected uint8, from 0 to 255{hint}")
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[3] in (1, 3) and images.shape[1] not in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    if images.ndim != 4:
        raise ValueError(f"the images have the shape {images.shape}; expected (n, C, H, W) or (n, H, W)")
    n = len(images)
    if labels.dtype.kind not in "iu" or labels.shape != (n,):
        raise ValueError(
            f"the labels are {labels.dtype} of shape {labels.shape}; expected whole numbers, one for each of "
            f"the {n} images"
        )
    labels = labels.astype(np.int64)
    found = np.unique(labels)
    if n == 0 or found[0] != 0:
        got = f"run from {found[0]} to {found[-1]}" if n else "are empty"
        raise ValueError(f"the labels {got}; expected 0 to K - 1 for K classes")
    if absent := sorted({*range(int(found[-1]) + 1)} - {*found.tolist()}):
        raise ValueError(
            f"no image has the label {absent[0]}; expected images of every class 0 to {found[-1]}"
        )
    if test is None:
        test = _drawn(labels)
    if test.dtype != np.bool_ or test.shape != (n,):
        raise ValueError(
            f"test is {test.dtype} of shape {test.shape}; expected True or False for each of the {n} images"
        )
    classes = tuple(str(k) for k in found)
    return Raw(np.ascontiguousarray(images), labels, test, classes, padding, flip)


def _drawn(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Test images where none are given: the same at every call."""
    rng, test = numpy_stream(0, "arrays", "test"), np.zeros(len(labels), dtype=bool)
    for k in np.unique(labels):
        members = np.flatnonzero(labels == k)
        test[rng.permutation(members)[: max(1, round(TEST_SHARE * len(members)))]] = True
    return test
