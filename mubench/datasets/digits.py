"""scikit-learn's handwritten digits: 1,797 real 8x8 grey images that ship with scikit-learn.

Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI (1998), its test part.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from mubench.api.dataset import Raw, dataset
from mubench.streams import numpy_stream

TRAIN_AND_VALIDATION = 1000


@dataset("digits", title="handwritten digits (scikit-learn), 1,797 images of 8x8 pixels")
def digits(*, noise: float = 0.0, augmentation: Literal["crop", "none"] = "crop") -> Raw:
    """The 0..16 grey levels are spread over 0..255; 1,000 images are for train and validation.

    There is no official split, so one is drawn per class from a constant stream.

    noise: the standard deviation of Gaussian noise, as a share of the range of grey levels, that every pixel
    gets once and for all; the sum is clipped to the range. Clean digits are too easy for there to be much to
    forget: a network knows an image that it never saw nearly as well as one of its training images.

    augmentation: of training images, a random crop with padding 1 or nothing; without it they are soon known
    by heart.
    """
    from sklearn.datasets import load_digits

    if not 0 <= noise <= 1:
        raise ValueError(f"noise must be between 0 and 1, not {noise}")
    bunch = load_digits()
    grey = bunch.images / 16
    if noise:
        grey = np.clip(grey + noise * numpy_stream(0, "digits", "noise").normal(size=grey.shape), 0, 1)
    images = np.round(grey * 255).astype(np.uint8)[:, None]
    labels = bunch.target.astype(np.int64)
    rng = numpy_stream(0, "digits", "test")
    test = np.ones(len(labels), dtype=bool)
    for k in range(10):
        members = np.flatnonzero(labels == k)
        share = TRAIN_AND_VALIDATION * len(members) / len(labels)
        test[rng.permutation(members)[: round(share)]] = False
    return Raw(images, labels, test, tuple("0123456789"), padding=int(augmentation == "crop"), flip=False)
