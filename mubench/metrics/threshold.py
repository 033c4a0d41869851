"""MIA: the share of the forget set that a threshold attack calls non-member, in percent.

The attack of Song and Mittal (2021): what scores below a threshold was not trained on. The threshold
is the one that best tells shadow members (retain) from shadow non-members (test).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mubench.api.metric import metric
from mubench.api.outputs import Outputs, SetName
from mubench.api.scores import STATISTICS, Floats, Labels
from mubench.errors import suggestion
from mubench.streams import numpy_stream

Scored = tuple[Floats, Labels]


def best_threshold(members: Floats, nonmembers: Floats) -> tuple[float, bool]:
    """The lowest observed value v that maximises (share of members >= v + share of non-members < v).

    members, nonmembers: (m,) and (n,) scores, not empty. Returns the threshold, and whether it is
    degenerate: no value does better than calling everything a member. O((m + n) log(m + n)).
    """
    members, nonmembers = np.sort(members), np.sort(nonmembers)
    values = np.unique(np.concatenate([members, nonmembers]))
    kept = len(members) - np.searchsorted(members, values).astype(np.int64)
    turned_away = np.searchsorted(nonmembers, values).astype(np.int64)
    # Both shares over one denominator: whole numbers, so that equal thresholds tie exactly.
    best = int(np.argmax(kept * len(nonmembers) + turned_away * len(members)))
    return float(values[best]), best == 0


@dataclass(frozen=True)
class Attack:
    """A fitted attack, by class: threshold (K,), degenerate (K,), fallback (K,).

    fallback: the class had no members or no non-members, so the global threshold serves it.
    """

    threshold: Floats
    degenerate: NDArray[np.bool_]
    fallback: NDArray[np.bool_]

    def nonmember(self, scored: Scored) -> NDArray[np.bool_]:
        """Which of the (n,) scores the attack calls non-member."""
        scores, labels = scored
        out: NDArray[np.bool_] = scores < self.threshold[labels]
        return out


def fit(members: Scored, nonmembers: Scored, num_classes: int, classwise: bool) -> Attack:
    """One threshold for all classes or, if `classwise`, one for each that has both sides."""
    threshold, degenerate = best_threshold(members[0], nonmembers[0])
    attack = Attack(
        np.full(num_classes, threshold), np.full(num_classes, degenerate), np.zeros(num_classes, bool)
    )
    for c in range(num_classes) if classwise else ():
        m, n = members[0][members[1] == c], nonmembers[0][nonmembers[1] == c]
        if len(m) and len(n):
            attack.threshold[c], attack.degenerate[c] = best_threshold(m, n)
        else:
            attack.fallback[c] = True
    return attack


def _halves(scored: Scored, side: str, classwise: bool) -> tuple[Scored, Scored]:
    """Two random halves of one side's scores, drawn class by class if `classwise`.

    Ranks are drawn, for every class from the same stream: neither the order of the samples nor the
    numbers of the classes nor a monotone map of the scores changes the halves.
    """
    scores, labels = scored
    groups = labels if classwise else np.zeros_like(labels)
    halves: tuple[list[Scored], list[Scored]] = [], []
    for c in np.unique(groups):
        ordered = np.sort(scores[groups == c])
        first = numpy_stream(0, "mia", side).permutation(len(ordered)) < len(ordered) // 2
        for half, chosen in zip(halves, (first, ~first), strict=True):
            half.append((ordered[chosen], np.full(int(chosen.sum()), c)))
    return _join(halves[0]), _join(halves[1])


def held_out_accuracy(members: Scored, nonmembers: Scored, num_classes: int, classwise: bool) -> float | None:
    """Balanced accuracy in percent on shadows that the threshold was not fitted to; 50 is chance.

    Fitted on one half and scored on the other, both ways round, and averaged. None if a half is empty.
    """
    member_halves = _halves(members, "members", classwise)
    nonmember_halves = _halves(nonmembers, "nonmembers", classwise)
    if not all(len(half[0]) for half in (*member_halves, *nonmember_halves)):
        return None
    total = 0.0
    for this, other in ((0, 1), (1, 0)):
        attack = fit(member_halves[this], nonmember_halves[this], num_classes, classwise)
        total += 1.0 - float(attack.nonmember(member_halves[other]).mean())
        total += float(attack.nonmember(nonmember_halves[other]).mean())
    return 100.0 * total / 4.0


def _join(parts: Sequence[Scored]) -> Scored:
    return np.concatenate([s for s, _ in parts]), np.concatenate([y for _, y in parts])


@metric("mia", title="MIA", better="reference", needs="row", gap="attack", column=50)
def mia(
    rows: Sequence[Outputs], *, statistic: str = "confidence", classwise: bool = False, pool: bool = True
) -> list[dict[str, float]]:
    """Percent of the forget set below the threshold that best separates retain from test.

    statistic: confidence, correctness, entropy or modified_entropy. classwise: a threshold per class.
    pool: fit one attack to the shadows of all seeds, as shadow models are used; fitted seed by seed
    the threshold of a small set is noise. The share is each seed's own either way.

    Diagnostics: `balanced_accuracy` (percent, of the attack, on held-out shadows; absent if a side has
    one sample), `degenerate` (1 if a threshold in use does no better than calling all members) and
    `fallback_classes` (classes of the forget set served by the global threshold for want of shadows).

    Raises ValueError if there is no such statistic.
    """
    if statistic not in STATISTICS:
        raise ValueError(f"unknown statistic {statistic!r}.{suggestion(statistic, STATISTICS)}")
    score = STATISTICS[statistic]

    def scored(outputs: Outputs, name: SetName) -> Scored:
        logits, labels = outputs.of(name)
        return score(logits, labels), labels

    members = [scored(o, "retain") for o in rows]
    nonmembers = [scored(o, "test") for o in rows]
    shadows = [(_join(members), _join(nonmembers))] if pool else list(zip(members, nonmembers, strict=True))
    num_classes = rows[0].logits["forget"].shape[1]
    attacks = [
        (fit(m, n, num_classes, classwise), held_out_accuracy(m, n, num_classes, classwise))
        for m, n in shadows
    ]
    return [_result(scored(o, "forget"), *attacks[0 if pool else i]) for i, o in enumerate(rows)]


def _result(forget: Scored, attack: Attack, held_out: float | None) -> dict[str, float]:
    classes = np.unique(forget[1])
    return {
        "mia": 100.0 * int(attack.nonmember(forget).sum()) / len(forget[0]),
        **({} if held_out is None else {"balanced_accuracy": held_out}),
        "degenerate": float(attack.degenerate[classes].any()),
        "fallback_classes": float(attack.fallback[classes].sum()),
    }
