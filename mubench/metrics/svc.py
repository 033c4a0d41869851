"""MIA-SVC: the attack behind the published tables, for comparing with them.

The published code of SalUn (Fan et al., 2024) and of the Sparse paper (Jia et al., 2023) trains a support
vector machine on the probability of the true class. It is another measure than the threshold attack.
"""

from __future__ import annotations

import numpy as np

from mubench.metrics import metric
from mubench.metrics.scores import Floats, log_softmax
from mubench.outputs import Outputs, SetName


def share_of_nonmembers(members: Floats, nonmembers: Floats, targets: Floats) -> float:
    """Percent of `targets` that an SVC(C=3, gamma="auto", kernel="rbf") calls non-member.

    All are (n,) probabilities of the true class. With one feature, gamma="auto" is 1.
    """
    from sklearn.svm import SVC

    # Sorted, because where the solver stops depends on the order it is given.
    x = np.concatenate([np.sort(members), np.sort(nonmembers)])[:, None]
    y = np.repeat([1, 0], [len(members), len(nonmembers)])
    machine = SVC(C=3, gamma="auto", kernel="rbf").fit(x, y)
    return 100.0 * int((machine.predict(targets[:, None]) == 0).sum()) / len(targets)


@metric("mia_svc", title="MIA-SVC", better="reference", gap=True)
def mia_svc(outputs: Outputs) -> float:
    """Percent of the forget set that the published SVC attack calls non-member; fitted per seed.

    Both sides are equally large, n = min(|retain|, |test|): members are the *first* n images of retain
    in their stored order and, as in the published code, non-members all test images. Where retain is
    the smaller, which the published settings never meet, the first n test images serve: unequal
    sides would make the larger one the SVC's answer to everything.
    """

    def probability(name: SetName, first: int | None = None) -> Floats:
        logits, labels = outputs.of(name)
        log_p = log_softmax(logits[:first])
        out: Floats = np.exp(log_p[np.arange(len(log_p)), labels[:first]])
        return out

    n = min(len(outputs.of(name)[1]) for name in ("retain", "test"))
    return share_of_nonmembers(probability("retain", n), probability("test", n), probability("forget"))
