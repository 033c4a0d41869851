"""Accuracy on each set, in percent: UA (of errors), RA, TA, and what the headline table leaves out."""

from __future__ import annotations

import numpy as np

from mubench.api.metric import metric
from mubench.api.outputs import Outputs
from mubench.api.scores import Labels, Logits, correctness


def accuracy(logits: Logits, labels: Labels) -> float:
    """Percent of (n,) labels that have the largest of their (n, K) logits."""
    return 100.0 * int(correctness(logits, labels).sum()) / len(labels)


@metric("ua", title="UA", better="reference", gap="accuracy", column=10)
def ua(outputs: Outputs) -> float:
    """Unlearning accuracy: 100 - accuracy on the forget set."""
    logits, labels = outputs.of("forget")
    # Counting the errors is the same number without the rounding of a subtraction.
    return 100.0 * (len(labels) - int(correctness(logits, labels).sum())) / len(labels)


@metric("ra", title="RA", better="reference", gap="accuracy", column=20)
def ra(outputs: Outputs) -> float:
    """Accuracy on the retain set."""
    return accuracy(*outputs.of("retain"))


@metric("ta", title="TA", better="reference", gap="accuracy", column=30)
def ta(outputs: Outputs) -> float:
    """Accuracy on the test images, in class forgetting on those of the remaining classes."""
    return accuracy(*outputs.of("test"))


@metric("fta", title="Forgotten TA", better="reference", column=40)
def fta(outputs: Outputs) -> dict[str, float]:
    """Accuracy on the forgotten classes' test images; absent if no class is forgotten."""
    labels = outputs.labels["test"]
    gone = np.isin(labels, outputs.forgotten)
    return {"fta": accuracy(outputs.logits["test"][gone], labels[gone])} if gone.any() else {}


@metric("va", title="VA", better="reference")
def va(outputs: Outputs) -> dict[str, float]:
    """Accuracy on validation images, of the remaining classes as TA; absent if there are none."""
    labels = outputs.labels.get("val", np.empty(0, np.int64))
    kept = ~np.isin(labels, outputs.forgotten)
    return {"va": accuracy(outputs.logits["val"][kept], labels[kept])} if kept.any() else {}
