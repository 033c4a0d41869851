"""KLoM, the divergence of margins between unlearned and retrained models (Georgiev et al., 2024; EasyDUB).

    per image: KL(P || Q),  P the histogram of its margin over the row's runs, Q over Retrains

with margin = z_y - logsumexp of the other logits, clipped to +-100, and 20 bins of one width between the
smallest and the largest margin of both sides; a share of Q below 1e-5 counts as 1e-5. It takes many runs on
one forget set: Retrains that differ by their training seed alone are not 0 but the estimator's bias.
Simulated on normal margins (2,000 images; the true divergence of a shift by one sd is 0.49):

    runs, Retrains    both alike    shifted by one sd
    20, 20            3.06          3.98
    50, 50            0.89          1.93
    100, 100          0.36          1.22
    20, 100           0.74          1.58
    50, 100           0.46          1.33

With 20 runs and 100 Retrains that shift more than doubles the value: from there on it is printed. Even then
a row is read against Retrain's own value, which has the same bias.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mubench.api.metric import metric
from mubench.api.outputs import Outputs, SetName
from mubench.api.scores import Floats, confidence

BINS, CLIP, LEAST = 20, 100.0, 1e-5
# So many runs of a row, and so many Retrains beside it, on one forget set.
FEWEST_RUNS, FEWEST_RETRAINS = 20, 100


def divergences(unlearned: Floats, retrained: Floats) -> Floats:
    """KL in nats (n,) of the binned margins (N, n) of unlearned models from those (M, n) of Retrains.

    The published code loses the largest margin, which falls beside its last bin.
    """
    p, q = (np.clip(margins, -CLIP, CLIP) for margins in (unlearned, retrained))
    low = np.minimum(p.min(axis=0), q.min(axis=0))
    width = np.maximum(p.max(axis=0), q.max(axis=0)) - low
    width[width == 0] = 1.0

    def shares(margins: Floats) -> Floats:
        bins = np.minimum(((margins - low) / width * BINS).astype(np.int64), BINS - 1)
        counts = np.stack([(bins == k).sum(axis=0) for k in range(BINS)])
        out: Floats = counts / len(margins)
        return out

    of_p, of_q = shares(p), np.maximum(shares(q), LEAST)
    terms = of_p * np.log(np.where(of_p > 0, of_p, 1.0) / of_q)
    out: Floats = terms.sum(axis=0)
    return out


@metric("klom", title="KLoM", better="reference", needs="retrains")
def klom(
    rows: Sequence[Outputs], retrains: Sequence[Sequence[Outputs]], originals: Sequence[Outputs]
) -> list[dict[str, float]]:
    """Mean over the forget images in nats, the same for every seed; the target is Retrain's own value.

    `klom_p95`: their 95th percentile; `klom_retain`, `klom_test`: the means over those sets. Only where all
    seeds forget the same images (one class, a file of indices, or a suite's `forget.seed`), from 20
    seeds and 100 further Retrains of all seeds together on.
    """
    others = [one for of_seed in retrains for one in of_seed]
    if len(rows) < FEWEST_RUNS or len(others) < FEWEST_RETRAINS or not _one_set([*rows, *others]):
        return [{} for _ in rows]
    found = {name: divergences(_margins(rows, name), _margins(others, name)) for name in _SETS}
    means = {name: math.fsum(values) / len(values) for name, values in found.items()}
    values = {
        "klom": means["forget"],
        "p95": float(np.quantile(found["forget"], 0.95)),
        "retain": means["retain"],
        "test": means["test"],
    }
    return [dict(values) for _ in rows]


_SETS: tuple[SetName, ...] = ("forget", "retain", "test")


def _one_set(outputs: Sequence[Outputs]) -> bool:
    """Whether all were measured on the same images, told by their labels in order."""
    first, *rest = outputs
    return all(np.array_equal(first.labels[n], one.labels[n]) for n in _SETS for one in rest)


def _margins(outputs: Sequence[Outputs], name: SetName) -> Floats:
    return np.stack([confidence(*one.of(name)) for one in outputs])
