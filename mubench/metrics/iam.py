"""IAM, the interpolated approximate measurement of unlearning (Wang et al., USENIX Security 2025).

"Towards Lifecycle Unlearning Commitment Management: Measuring Sample-level Unlearning Completeness"; the
Gumbel form of the authors' `interpolate_appro`, with a variance over all images.

Between a Retrain, which never saw an image, and the Original, which trained on it, lie models that know
it in part. IAM asks how far up this ladder the unlearned model stands:

    s(x) = -log(0.01 - log(0.00001 + p_y(x))), scaled to 0 at p_y = 0 and 1 at p_y = 1
    s_k = s_out + k / 99 (s_original - s_out),    k = 0 ... 98, of each shadow
    IAM(x) = 1 - sum_k w_k F_k(s_unlearned(x)) / sum_k w_k,    w_k = (k + 1) / 99

with F_k a Gumbel distribution whose mean is that of s_k(x) over the shadows and whose standard deviation is
that of s_k over all images and shadows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mubench.api.metric import metric
from mubench.api.outputs import Outputs
from mubench.api.scores import Floats, log_softmax
from mubench.metrics.divergence import same_images

STEPS = 99
# Of the published code: how far the signal tells apart what is nearly certain, and nearly impossible.
NEAR_ONE, NEAR_ZERO = 1e-2, 1e-5
EULER = 0.5772


def signal(probabilities: Floats) -> Floats:
    """The scaled log-loss signal (n,) of the probabilities of the true class, from 0 to 1."""

    def raw(p: Floats) -> Floats:
        out: Floats = -np.log(NEAR_ONE - np.log(NEAR_ZERO + p))
        return out

    low, high = raw(np.array([0.0, 1.0]))
    out: Floats = (raw(probabilities) - low) / (high - low)
    return out


def scores(unlearned: Floats, original: Floats, shadows: Floats) -> Floats:
    """IAM (n,) of signals (n,), (n,) and (R, n): 1 where nothing is left, 0 where all is known as before."""
    low = shadows.mean(axis=0)
    weighted = np.zeros(len(unlearned))
    # What lies between has the moments of its two ends, here over all images and shadows.
    ends = np.broadcast_to(original, shadows.shape)
    apart = ends - shadows
    off, way = shadows - _mean(shadows), apart - _mean(apart)
    start, along, cross = _mean(off**2), _mean(way**2), _mean(off * way)
    for k in range(STEPS):
        up = k / STEPS
        variance = max(start + 2 * up * cross + up**2 * along, 0.0)
        scale = max(math.sqrt(6 * variance) / math.pi, 1e-10)
        centre = low + up * (original - low) - EULER * scale
        # The exponent is clipped where its Gumbel is 0 to rounding.
        weighted += (k + 1) * np.exp(-np.exp(np.minimum(-(unlearned - centre) / scale, 50.0)))
    out: Floats = 1.0 - weighted / (STEPS * (STEPS + 1) / 2)
    return out


def _mean(values: Floats) -> float:
    """The mean whatever the order of the images."""
    return math.fsum(values.ravel()) / values.size


@metric("iam", title="IAM", better="reference", needs="retrains")
def iam(
    rows: Sequence[Outputs], retrains: Sequence[Sequence[Outputs]], originals: Sequence[Outputs]
) -> list[dict[str, float]]:
    """Mean of IAM over the forget set, in percent; the shadows are the further Retrains of the seed.

    The target is Retrain's value: below it something is left, above it more was forgotten than retraining
    does. `iam_original` is the Original's own.
    """
    values = []
    for outputs, of_seed, original in zip(rows, retrains, originals, strict=True):
        for other in (original, *of_seed):
            same_images(outputs, other, "forget")
        mine, theirs, *shadows = (_signal(one) for one in (outputs, original, *of_seed))
        percent = [100.0 * _mean(scores(s, theirs, np.stack(shadows))) for s in (mine, theirs)]
        values.append(dict(zip(("iam", "original"), percent, strict=True)))
    return values


def _signal(outputs: Outputs) -> Floats:
    logits, labels = outputs.of("forget")
    return signal(np.exp(log_softmax(logits)[np.arange(len(labels)), labels]))
