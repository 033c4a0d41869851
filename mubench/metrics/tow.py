"""ToW, "tug of war" (Zhao et al., 2024): one number for forget, retain and test, 100 being Retrain itself.

    ToW = (1 - |d_forget|) (1 - |d_retain|) (1 - |d_test|)

with d the difference of accuracy to the Retrain of the same seed, as a share; recorded in percent.
"""

from __future__ import annotations

from collections.abc import Sequence

from mubench.api.metric import metric
from mubench.api.outputs import Outputs
from mubench.metrics.accuracy import ra, ta, ua
from mubench.metrics.threshold import default_shares


def _percent(*points: float) -> float:
    product = 100.0
    for difference in points:
        product *= 1.0 - abs(difference) / 100.0
    return product


@metric("tow", title="ToW", better="higher", needs="pair")
def tow(outputs: Outputs, reference: Outputs) -> float:
    """Percent; 100 means the accuracies of Retrain on all three sets. UA differs as its accuracy does."""
    return _percent(*(f(outputs) - f(reference) for f in (ua, ra, ta)))


@metric("tow_mia", title="ToW-MIA", better="higher", needs="row_pair")
def tow_mia(rows: Sequence[Outputs], references: Sequence[Outputs]) -> list[float]:
    """ToW with the difference of MIA in place of that on forget.

    Always the threshold attack as it is by default, each row's fitted to its own pooled shadows, so
    that the number means one thing in every suite.
    """
    attacks = zip(default_shares(rows), default_shares(references), strict=True)
    return [
        _percent(mine - theirs, ra(o) - ra(r), ta(o) - ta(r))
        for (mine, theirs), o, r in zip(attacks, rows, references, strict=True)
    ]
