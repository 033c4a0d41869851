"""Does the model say what Retrain says, image by image? Agreement and Jensen-Shannon divergence.

Both are recorded for each set: `agreement_forget`, `agreement_retain`, `agreement_test`, `js_forget`, ...
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mubench.api.metric import metric
from mubench.api.outputs import Outputs, SetName
from mubench.api.scores import Floats, Logits, log_softmax

SHOWN: tuple[SetName, ...] = ("forget", "retain", "test")


# So many logits at once: what is computed of them stays in the processor's cache, and a million images
# need no more memory than a thousand.
PART = 1 << 16


def in_parts(work: Callable[[Logits, Logits], Floats], logits: Logits, others: Logits) -> Floats:
    """`work`, which maps (n, K) x 2 to (n,) row by row, done on as many rows at once as `PART` allows.

    No bit of a row depends on the rows beside it.
    """
    rows = max(1, PART // logits.shape[1])
    starts = range(0, max(1, len(logits)), rows)
    return np.concatenate([work(logits[i : i + rows], others[i : i + rows]) for i in starts])


def js_bits(logits: Logits, others: Logits) -> Floats:
    """Jensen-Shannon divergence of softmax predictions, (n, K) x 2 -> (n,) in bits, from 0 to 1.

    Lin (1991): the mean of KL(p || m) and KL(q || m), with m = (p + q) / 2.
    """
    return in_parts(_js_bits, logits, others)


def _js_bits(logits: Logits, others: Logits) -> Floats:
    log_p, log_q = log_softmax(logits), log_softmax(others)
    ratio = log_q - log_p
    # log(p / m) = log 2 - log(1 + q / p), exactly 0 where p = q; no division, so p may underflow. And
    # log(1 + e^r) = max(r, 0) + log(1 + e^-|r|), whose last term p and q share.
    shared = np.log1p(np.exp(-np.abs(ratio)))
    terms = np.exp(log_p) * (np.log(2.0) - (np.maximum(ratio, 0.0) + shared))
    terms += np.exp(log_q) * (np.log(2.0) - (np.maximum(-ratio, 0.0) + shared))
    nats = 0.5 * np.sort(terms, axis=1).sum(axis=1)
    # Rounding can leave -1e-16, or that much above 1.
    out: Floats = np.clip(nats / np.log(2.0), 0.0, 1.0)
    return out


def same_images(outputs: Outputs, reference: Outputs, name: SetName) -> tuple[Logits, Logits]:
    """Both models' logits of the same images; ValueError if they are not the same."""
    (z, y), (other, their) = outputs.of(name), reference.of(name)
    if not np.array_equal(y, their):
        raise ValueError(f"the reference has other {name} images: it must share the split and the seed")
    return z, other


@metric("agreement", title="Agreement", better="higher", needs="pair")
def agreement(outputs: Outputs, reference: Outputs) -> dict[str, float]:
    """Percent of images to which the model and the Retrain of its seed give the same class."""
    percent = {}
    for name in SHOWN:
        z, other = same_images(outputs, reference, name)
        percent[str(name)] = 100.0 * int((z.argmax(axis=1) == other.argmax(axis=1)).sum()) / len(z)
    return percent


@metric("js", title="JS divergence", better="lower", needs="pair")
def js(outputs: Outputs, reference: Outputs) -> dict[str, float]:
    """Mean Jensen-Shannon divergence to the Retrain of the seed, in percent of its maximum, 1 bit."""
    percent = {}
    for name in SHOWN:
        bits = js_bits(*same_images(outputs, reference, name))
        # fsum: the order of the images must not show.
        percent[str(name)] = 100.0 * math.fsum(bits) / len(bits)
    return percent
