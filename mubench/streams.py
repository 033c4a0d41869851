"""Named random streams: every use of randomness has a name and a generator of its own.

A stream's seed is derived from the run's seed and the name, so adding one consumer never moves
the numbers of another, and no global seeding decides a result.
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream_seed(seed: int, *names: str) -> int:
    """A 63-bit seed for the stream called `names` under `seed`."""
    text = "/".join([str(seed), *names])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_stream(seed: int, *names: str) -> np.random.Generator:
    """numpy's generator for the stream called `names`."""
    return np.random.default_rng(stream_seed(seed, *names))
