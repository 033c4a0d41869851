"""NoMUS, the normalized machine unlearning score (MUFAC, Choi and Na, 2023).

    NoMUS = TA / 2 + (1 - 2 |A - 1/2|) / 2

with A the share of images on which a logistic regression on the loss tells forget from test: a half if
the model treats them alike. It rewards models that forgot *and* classify; it knows no Retrain. What the
authors' tables call MIA is |A - 1/2|: 0.5951 and 0.2136 give their score of 0.5839.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from mubench.api.metric import metric
from mubench.api.outputs import Outputs
from mubench.api.scores import Floats, Labels, log_softmax
from mubench.metrics.accuracy import ta
from mubench.streams import numpy_stream

FOLDS = 10
# Of Newton's method; it stops where a step lowers the loss by less than TINY.
STEPS = 100
TINY = 1e-9


def told_apart(one: Floats, two: Floats) -> float:
    """The balanced accuracy, from 0 to 1, of logistic regression between (n,) and (m,) losses.

    Ten-fold, so that each loss is scored once by a fit that did not see it; the published code draws ten
    random tenths. Both sides weigh the same; the published code cuts the forget set down to as many images
    as the other side has, and counts as they come where it has fewer.
    """
    # Folds of ranks: the order of the images does not show.
    rng = numpy_stream(0, "nomus")
    folds = [rng.permutation(len(side)) * FOLDS // len(side) for side in (one, two)]
    x = np.concatenate([np.sort(one), np.sort(two)])
    is_two = np.repeat([False, True], [len(one), len(two)])
    held_out = np.concatenate(folds) == np.arange(FOLDS)[:, None]
    slopes = regressions(x, is_two, ~held_out)
    said_two = slopes[:, :1] + slopes[:, 1:] * x > 0
    right = ((said_two == is_two) & held_out).any(axis=0)
    return float((right[is_two].mean() + right[~is_two].mean()) / 2)


def regressions(x: Floats, y: NDArray[np.bool_], used: NDArray[np.bool_]) -> Floats:
    """Logistic regressions of (n,) classes on one feature, each on the samples that its line of (f, n) marks.

    Returns (f, 2): intercept and slope that minimise slope^2 / 2 plus the log losses, where both classes of
    a line weigh n / 2. scikit-learn's LogisticRegression(C=1, class_weight="balanced"), f fits at once, by
    Newton steps that are halved until the loss falls.
    """
    counts = [(used & side).sum(axis=1, keepdims=True) for side in (~y, y)]
    weight = used * (counts[0] + counts[1]) / 2 / np.where(y, counts[1], counts[0])
    sign = np.where(y, 1.0, -1.0)
    design = np.stack([np.ones_like(x), x])

    def objective(slopes: Floats) -> Floats:
        out: Floats = (weight * np.logaddexp(0.0, -sign * (slopes @ design))).sum(axis=1)
        return out + slopes[:, 1] ** 2 / 2

    slopes = np.zeros((len(used), 2))
    value = objective(slopes)
    for _ in range(STEPS):
        p = expit(slopes @ design)
        gradient = (weight * (p - y)) @ design.T
        gradient[:, 1] += slopes[:, 1]
        curvature = np.einsum("fn,in,jn->fij", weight * p * (1 - p), design, design)
        curvature[:, 1, 1] += 1.0
        curvature[:, 0, 0] += 1e-12  # of a feature that settles every sample
        step = np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
        fall = (gradient * step).sum(axis=1)
        size = np.ones(len(used))
        while ((new := objective(slopes - size[:, None] * step)) > value - 1e-4 * size * fall + TINY).any():
            size[new > value - 1e-4 * size * fall + TINY] /= 2
        slopes, value = slopes - size[:, None] * step, new
        if (fall < TINY).all():
            break
    return slopes


@metric("nomus", title="NoMUS", better="higher")
def nomus(outputs: Outputs) -> dict[str, float]:
    """Percent. The test images that the attack sees are those of the forget set's classes.

    The authors keep a third set of unseen images for the attack; here the test set serves for both.

    Diagnostic: `attack` (A in percent). Absent if one of the two has fewer than ten images.
    """

    def losses(name: str, labels: Labels) -> Floats:
        kept = np.isin(labels, outputs.labels["forget"])
        log_p = log_softmax(outputs.logits[name][kept])
        out: Floats = -log_p[np.arange(len(log_p)), labels[kept]]
        return out

    forget, test = (losses(name, outputs.labels[name]) for name in ("forget", "test"))
    if min(len(forget), len(test)) < FOLDS:
        return {}
    share = told_apart(forget, test)
    return {"nomus": ta(outputs) / 2.0 + 50.0 * (1.0 - 2.0 * abs(share - 0.5)), "attack": 100.0 * share}
