"""Can a set be told from test images at all, or from retain? AUC, and TPR at 1 % FPR, of the confidence.

Class-matched: some classes are easier than others, so a set whose mix of classes differs from the test
set's would be told apart by its classes. Here test images of *all* classes are used, forgotten ones
too, in the mix of the set in question. Classes that the test set lacks are left out on both sides.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mubench.api.metric import metric
from mubench.api.outputs import Outputs, SetName
from mubench.api.scores import Floats, Labels, confidence

Scored = tuple[Floats, Labels]

MAX_FPR = 0.01


def matched_auc(targets: Scored, test: Scored) -> float | None:
    """sum_c w_c AUC_c in percent, w_c the share of class c in `targets`; None if no class is in both.

    AUC_c is the chance that a target of class c scores above a test image of class c, a tie counting half.
    """
    parts, kept = [], 0
    for c in np.intersect1d(targets[1], test[1]):
        mine, theirs = targets[0][targets[1] == c], np.sort(test[0][test[1] == c])
        below = np.searchsorted(theirs, mine, "left").astype(np.int64).sum()
        upto = np.searchsorted(theirs, mine, "right").astype(np.int64).sum()
        parts.append(int(below + upto) / (2 * len(theirs)))
        kept += len(mine)
    # fsum: the order of the classes must not show.
    return 100.0 * math.fsum(parts) / kept if kept else None


def matched_tpr(targets: Scored, test: Scored, max_fpr: float = MAX_FPR) -> float | None:
    """Percent of `targets` called members at a false positive rate of at most `max_fpr`.

    One threshold for all classes, "member" meaning a score >= it. A test image of class c weighs
    (share of c in `targets`) / (test images of c), so the weights sum to 1; the false positive rate
    is the weight of the test images called members. The threshold is the most permissive that
    keeps the rate; nothing is interpolated. None if no class is in both.
    """
    shared = np.intersect1d(targets[1], test[1])
    mine, theirs = _only(targets, shared), _only(test, shared)
    if not len(shared):
        return None
    length = int(shared.max()) + 1
    in_targets, in_test = (np.bincount(labels, minlength=length) for _, labels in (mine, theirs))
    weights = in_targets[theirs[1]] / (len(mine[1]) * in_test[theirs[1]])
    order = np.argsort(-theirs[0], kind="stable")
    falling, rate = theirs[0][order], np.cumsum(weights[order])
    # The slack is for the rounding of the sum: ten in a thousand are 1 %, not more.
    first_too_many = falling[rate > max_fpr + 1e-9][0]
    return 100.0 * int((mine[0] > first_too_many).sum()) / len(mine[0])


def _only(scored: Scored, classes: NDArray[np.int64]) -> Scored:
    keep = np.isin(scored[1], classes)
    return scored[0][keep], scored[1][keep]


def _against_test(outputs: Outputs, name: SetName) -> tuple[Scored, Scored]:
    """The scores and labels of a set, and of all test images, forgotten classes included."""
    return _scored(outputs, name), _scored(outputs, "test")


def _scored(outputs: Outputs, name: SetName) -> Scored:
    labels = outputs.labels[name]
    return confidence(outputs.logits[name], labels), labels


def _present(**values: float | None) -> dict[str, float]:
    return {name: value for name, value in values.items() if value is not None}


@metric("auc", title="AUC", better="reference")
def auc(outputs: Outputs) -> dict[str, float]:
    """Class-matched AUC of forget against test, in percent; `auc_retain` the same of retain.

    `auc_against_retain` is that of forget against retain; absent if a whole class is forgotten, which
    they do not share. 50 is indistinguishable; the target is Retrain's value.
    """
    return _present(
        auc=matched_auc(*_against_test(outputs, "forget")),
        retain=matched_auc(*_against_test(outputs, "retain")),
        against_retain=matched_auc(_scored(outputs, "forget"), _scored(outputs, "retain")),
    )


@metric("tpr", title="TPR at 1 % FPR", better="reference")
def tpr(outputs: Outputs) -> dict[str, float]:
    """Class-matched TPR at 1 % FPR of forget against test, in percent; `tpr_retain` the same of retain.

    Carlini et al., "Membership Inference Attacks From First Principles" (2022): what an attacker learns
    about someone, rather than on average.
    """
    return _present(
        tpr=matched_tpr(*_against_test(outputs, "forget")),
        retain=matched_tpr(*_against_test(outputs, "retain")),
    )
