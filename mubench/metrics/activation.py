"""Activation distance: how far apart are the predictions of the model and of Retrain, image by image?

    100 x mean over the images of || p(x) - p_retrain(x) ||_2,    p = softmax

Chundawat et al., "Can Bad Teaching Induce Forgetting?" (2023), and Foster et al. (2024), by the formula of
their code (`actv_dist`). Recorded for each set: `activation_forget`, `activation_retain`, `activation_test`.
"""

from __future__ import annotations

import math

import numpy as np

from mubench.api.metric import metric
from mubench.api.outputs import Outputs
from mubench.api.scores import Floats, Logits, log_softmax
from mubench.metrics.divergence import SHOWN, in_parts, same_images


def distances(logits: Logits, others: Logits) -> Floats:
    """Euclidean distances (n,) of softmax predictions, from logits (n, K) x 2."""
    mine, theirs = (np.exp(log_softmax(z)) for z in (logits, others))
    # sorted: neither the classes' numbers nor the order of the images must show
    out: Floats = np.sqrt(np.sort((mine - theirs) ** 2, axis=1).sum(axis=1))
    return out


@metric("activation", title="Activation distance", better="lower", needs="pair")
def activation(outputs: Outputs, reference: Outputs) -> dict[str, float]:
    """In hundredths: 0 for equal predictions, 141.4 for two certainties of different classes."""
    hundredths = {}
    for name in SHOWN:
        lengths = in_parts(distances, *same_images(outputs, reference, name))
        hundredths[str(name)] = 100.0 * math.fsum(lengths) / len(lengths)
    return hundredths
