"""NoMUS, the normalized machine unlearning score (MUFAC, Choi and Na, 2023).

    NoMUS = TA / 2 + (1 - 2 |A - 1/2|) / 2

with A the share of images on which a logistic regression on the loss tells forget from test: a half if
the model treats them alike. It rewards models that forgot *and* classify; it knows no Retrain. What the
authors' tables call MIA is |A - 1/2|: 0.5951 and 0.2136 give their score of 0.5839.
"""

from __future__ import annotations

import numpy as np

from mubench.api.metric import metric
from mubench.api.outputs import Outputs
from mubench.api.scores import Floats, Labels, log_softmax
from mubench.metrics.accuracy import ta
from mubench.streams import numpy_stream

FOLDS = 10


def told_apart(one: Floats, two: Floats) -> float:
    """The balanced accuracy, from 0 to 1, of logistic regression between (n,) and (m,) losses.

    Ten-fold, so that each loss is scored once by a fit that did not see it; the published code draws ten
    random tenths. Both sides weigh the same; the published code cuts the forget set down to as many images
    as the other side has, and counts as they come where it has fewer.
    """
    from sklearn.linear_model import LogisticRegression

    # Folds of ranks: the order of the images does not show.
    rng = numpy_stream(0, "nomus")
    folds = [np.array_split(np.sort(side)[rng.permutation(len(side))], FOLDS) for side in (one, two)]
    right = np.zeros(2)
    for k in range(FOLDS):
        fit = [np.concatenate([part for i, part in enumerate(side) if i != k]) for side in folds]
        # The solver needs few steps also where some losses are a thousand times others.
        attack = LogisticRegression(class_weight="balanced", solver="newton-cholesky")
        attack.fit(np.concatenate(fit)[:, None], np.repeat([0, 1], [len(part) for part in fit]))
        right += [(attack.predict(side[k][:, None]) == y).sum() for y, side in enumerate(folds)]
    return float((right / (len(one), len(two))).mean())


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
