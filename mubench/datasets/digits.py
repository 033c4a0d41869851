"""scikit-learn's handwritten digits: 1,797 real 8x8 grey images that ship with scikit-learn.

Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI (1998), its test part.
"""

from __future__ import annotations

import numpy as np

from mubench.api.dataset import Raw, dataset
from mubench.streams import numpy_stream

TRAIN_AND_VALIDATION = 1000


@dataset("digits", title="handwritten digits (scikit-learn), 1,797 images of 8x8 pixels")
def digits() -> Raw:
    """The 0..16 grey levels are spread over 0..255; 1,000 images are for train and validation.

    There is no official split, so one is drawn per class from a constant stream.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = bunch.target.astype(np.int64)
    rng = numpy_stream(0, "digits", "test")
    test = np.ones(len(labels), dtype=bool)
    for k in range(10):
        members = np.flatnonzero(labels == k)
        share = TRAIN_AND_VALIDATION * len(members) / len(labels)
        test[rng.permutation(members)[: round(share)]] = False
    return Raw(images, labels, test, tuple("0123456789"), padding=1, flip=False)
