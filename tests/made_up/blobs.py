"""A made-up dataset that is learnt in one epoch."""

import numpy as np

from mubench import Raw, dataset


@dataset("blobs", title="made-up blobs")
def blobs():
    """180 grey images of 8 x 8 pixels in 3 classes, 60 of them for testing."""
    rng = np.random.default_rng(0)
    labels = np.arange(180) % 3
    images = rng.integers(0, 120, (180, 1, 8, 8))
    for k in range(3):
        images[labels == k, :, :, 2 * k : 2 * k + 4] += 120
    return Raw(images.astype(np.uint8), labels, np.arange(180) >= 120, ("a", "b", "c"), padding=1)
