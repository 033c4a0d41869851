"""MIA-SVC: the attack behind the published tables, for comparing with them.

The published code of SalUn (Fan et al., 2024) and of the Sparse paper (Jia et al., 2023) trains a support
vector machine on the probability of the true class. It is another measure than the threshold attack.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.polynomial import Chebyshev
from numpy.typing import NDArray

from mubench.api.metric import metric
from mubench.api.outputs import Outputs, SetName
from mubench.api.scores import Floats, log_softmax
from mubench.metrics._held_out import Calls, Scored, held_out

# Above this many samples, those of one side that lie within GRID of each other are merged.
MERGE_ABOVE = 2000
GRID = 5e-4


def _merged(values: Floats, grid: float) -> tuple[Floats, Floats]:
    """The mean and the number of the values in each interval of the grid, in ascending order."""
    _, cell, count = np.unique(np.floor(values / grid), return_inverse=True, return_counts=True)
    return np.bincount(cell, values) / count, count.astype(np.float64)


def _nonmember(machine: Any, targets: Floats) -> NDArray[np.bool_]:
    """What `machine.predict` calls 0, without comparing every target with every support vector.

    Its decision is a sum of Gaussians of width 1 over [0, 1], which a polynomial of degree 40 meets to
    rounding; where that is too near to 0 to tell the side, the machine itself is asked.
    """
    decision = Chebyshev.interpolate(lambda x: machine.decision_function(x[:, None]), 40, domain=[0, 1])
    value = decision(targets)
    found: NDArray[np.bool_] = value < 0
    if (unsure := np.abs(value) < 1e-6).any():
        found[unsure] = machine.predict(targets[unsure][:, None]) == 0
    return found


def fitted_machine(members: Floats, nonmembers: Floats) -> Any:
    """An SVC(C=3, gamma="auto", kernel="rbf") of scikit-learn that tells members (1) from non-members (0).

    Both are (n,) probabilities of the true class. With one feature, gamma="auto" is 1: the kernel
    changes by less than 5e-4 between points GRID apart. Equal points of one side may be merged into one
    of their joint weight without any change of the solution, so merging points so close changes it
    little: by at most 0.04 points on 10,000 + 10,000 made-up confidences of three kinds, in a hundredth
    of the time.
    """
    from sklearn.svm import SVC

    sides = [np.sort(members), np.sort(nonmembers)]  # where the solver stops depends on the order
    weights = [np.ones(len(side)) for side in sides]
    if sum(map(len, sides)) > MERGE_ABOVE:
        sides, weights = (list(part) for part in zip(*(_merged(s, GRID) for s in sides), strict=True))
    x, y = np.concatenate(sides)[:, None], np.repeat([1, 0], [len(side) for side in sides])
    return SVC(C=3, gamma="auto", kernel="rbf").fit(x, y, sample_weight=np.concatenate(weights))


def share_of_nonmembers(members: Floats, nonmembers: Floats, targets: Floats) -> float:
    """Percent of `targets` (n,), probabilities of the true class, that the machine calls non-member."""
    return 100.0 * int(_nonmember(fitted_machine(members, nonmembers), targets).sum()) / len(targets)


def _held_out(members: Floats, nonmembers: Floats) -> dict[str, float]:
    """How good the attack is on shadows that its machine was not fitted to."""

    def fitted(m: Scored, n: Scored) -> Calls:
        half = fitted_machine(m[0], n[0])
        return lambda scored: _nonmember(half, scored[0])

    return held_out(fitted, *((side, np.zeros(len(side), np.int64)) for side in (members, nonmembers)))


@metric("mia_svc", title="MIA-SVC", better="reference", gap="attack", column=60)
def mia_svc(outputs: Outputs) -> dict[str, float]:
    """Percent of the forget set that the published SVC attack calls non-member; fitted per seed.

    Both sides are equally large, n = min(|retain|, |test|): members are the *first* n images of retain
    in their stored order and, as in the published code, non-members all test images. Where retain is
    the smaller, which the published settings never meet, the first n test images serve: unequal
    sides would make the larger one the SVC's answer to everything.

    Diagnostics: `balanced_accuracy` and `balanced_accuracy_se` (percent, of the attack, on held-out shadows;
    absent if a side has one sample) and `merged` (1 if near-equal points were merged; absent otherwise).
    """

    def probability(name: SetName, first: int | None = None) -> Floats:
        logits, labels = outputs.of(name)
        log_p = log_softmax(logits[:first])
        out: Floats = np.exp(log_p[np.arange(len(log_p)), labels[:first]])
        return out

    n = min(len(outputs.of(name)[1]) for name in ("retain", "test"))
    members, nonmembers = probability("retain", n), probability("test", n)
    return {
        "mia_svc": share_of_nonmembers(members, nonmembers, probability("forget")),
        **_held_out(members, nonmembers),
        **({"merged": 1.0} if 2 * n > MERGE_ABOVE else {}),
    }
