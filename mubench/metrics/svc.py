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
from mubench.api.scores import Floats, Labels, log_softmax
from mubench.metrics._held_out import Calls, Scored, held_out
from mubench.streams import numpy_stream

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


def draw(values: Floats, labels: Labels, n: int, start: float) -> Floats:
    """n of the (N,) values, drawn systematically within the classes: every (N / n)-th in order of size.

    start: the place of the first within its step, from 0 to 1. Each class gives its share, rounded up or
    down. Classes stand in the order of their values, so that neither the order of the images nor the
    numbers of the classes decide which are drawn.
    """
    classes = [np.sort(values[labels == c]) for c in np.unique(labels)]
    ordered = np.concatenate(sorted(classes, key=lambda of_class: of_class.tobytes()))
    out: Floats = ordered[((np.arange(n) + start) * len(ordered) / n).astype(np.int64)]
    return out


@metric("mia_svc", title="MIA-SVC", better="reference", gap="attack", column=60)
def mia_svc(outputs: Outputs, *, stored_order: bool = False) -> dict[str, float]:
    """Percent of the forget set that the published SVC attack calls non-member; fitted per seed.

    Both sides are equally large, n = min(|retain|, |test|), as unequal sides would make the larger one
    the SVC's answer to everything: of the larger side, which is retain in the published settings, n are
    drawn by class (`draw`) from a stream of this attack.

    stored_order: take the first n as they are stored, as the published code does; in data sorted by
    class these are images of some classes only.

    Diagnostics: `balanced_accuracy` and `balanced_accuracy_se` (percent, of the attack, on held-out shadows;
    absent if a side has one sample) and `merged` (1 if near-equal points were merged; absent otherwise).
    """

    def probability(name: SetName) -> tuple[Floats, Labels]:
        logits, labels = outputs.of(name)
        out: Floats = np.exp(log_softmax(logits)[np.arange(len(labels)), labels])
        return out, labels

    sides = {name: probability(name) for name in ("retain", "test")}
    n = min(len(labels) for _, labels in sides.values())
    members, nonmembers = (
        values[:n] if stored_order else draw(values, labels, n, numpy_stream(0, "mia_svc", name).random())
        for name, (values, labels) in sides.items()
    )
    return {
        "mia_svc": share_of_nonmembers(members, nonmembers, probability("forget")[0]),
        **_held_out(members, nonmembers),
        **({"merged": 1.0} if 2 * n > MERGE_ABOVE else {}),
    }
