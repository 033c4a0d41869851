"""RF-JSD, "retrain-free Jensen-Shannon divergence" (LoTUS, Spartalis et al., 2025).

    mean over the classes c of JS(p_c || q_c)

with p_c the unlearned model's mean prediction on the forget images of class c, and q_c the Original's on
test images of class c. A model that forgot treats forgotten images as the Original treats unseen ones.

Published values are another quantity: the authors' code takes KL(m || p), m = (p + q) / 2, where the
divergence takes KL(p || m), in nats, clamps probabilities at 1e-8, and divides twice by the number of
classes.
"""

from __future__ import annotations

import math

import numpy as np

from mubench.api.metric import metric
from mubench.api.outputs import Outputs
from mubench.api.scores import Floats, Labels, Logits, log_softmax
from mubench.metrics.divergence import js_bits


def class_means(logits: Logits, labels: Labels, classes: Labels) -> Floats:
    """The log of the mean prediction (C, K) on the images of each of the C classes, none of them empty."""
    log_p = log_softmax(logits)
    # In logarithms nothing underflows; sorted, so that the order of the images does not show.
    means = [
        np.logaddexp.reduce(np.sort(log_p[labels == c], axis=0), axis=0) - np.log((labels == c).sum())
        for c in classes
    ]
    return np.stack(means)


@metric("rf_jsd", title="RF-JSD", better="lower", needs="original")
def rf_jsd(outputs: Outputs, original: Outputs) -> dict[str, float]:
    """Percent of its maximum, 1 bit; 0 where both predict alike. Needs no Retrain.

    Over the classes that both sets have, each counting once. All test images serve, those of forgotten
    classes too; absent if test has none of the forget set's classes.
    """
    forget, test = outputs.labels["forget"], original.labels["test"]
    classes = np.intersect1d(forget, test)
    if not len(classes):
        return {}
    means = class_means(outputs.logits["forget"], forget, classes)
    bits = js_bits(means, class_means(original.logits["test"], test, classes))
    return {"rf_jsd": 100.0 * math.fsum(bits) / len(bits)}
