"""MIA: the share of the forget set that a threshold attack calls non-member, in percent.

The attack of Song and Mittal (2021): what scores below a threshold was not trained on. The threshold
is the one that best tells shadow members (retain) from shadow non-members (test).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mubench.api.metric import metric
from mubench.api.outputs import Outputs, SetName
from mubench.api.scores import STATISTICS, Floats
from mubench.errors import suggestion
from mubench.metrics._bootstrap import bootstrapped_error
from mubench.metrics._held_out import Calls, Scored, held_out, join


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

    def share(self, scored: Scored) -> float:
        """The percent of them that it calls non-member."""
        return 100.0 * int(self.nonmember(scored).sum()) / len(scored[0])


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


def held_out_accuracy(
    members: Scored, nonmembers: Scored, num_classes: int, classwise: bool, seeds: int = 1
) -> dict[str, float]:
    """See `held_out`: how good the attack is on shadows that its threshold was not fitted to."""

    def fitted(m: Scored, n: Scored) -> Calls:
        return fit(m, n, num_classes, classwise).nonmember

    return held_out(fitted, members, nonmembers, classwise=classwise, seeds=seeds)


@metric("mia", title="MIA", better="reference", needs="row", gap="attack", column=50)
def mia(
    rows: Sequence[Outputs], *, statistic: str = "confidence", classwise: bool = False, pool: bool = True
) -> list[dict[str, float]]:
    """Percent of the forget set below the threshold that best separates retain from test.

    statistic: confidence, correctness, entropy or modified_entropy. classwise: a threshold per class.
    pool: fit one attack to the shadows of all seeds, as shadow models are used; fitted seed by seed
    the threshold of a small set is noise. The share is each seed's own either way.

    Diagnostics: `se` (standard error, in points, of the mean over the seeds, with what the fit adds to
    their spread: see `bootstrapped_error`; absent with one seed), `balanced_accuracy` and
    `balanced_accuracy_se` (percent, of the attack, on held-out shadows; absent if a side has one sample),
    `degenerate` (1 if a threshold in use does no better than calling all members) and
    `fallback_classes` (classes of the forget set served by the global threshold for want of shadows).

    Raises ValueError if there is no such statistic.
    """
    members, nonmembers, forget = (_scored(rows, name, statistic) for name in ("retain", "test", "forget"))
    num_classes = rows[0].logits["forget"].shape[1]
    shadows = [(join(members), join(nonmembers))] if pool else list(zip(members, nonmembers, strict=True))
    seeds = len(rows) // len(shadows)
    attacks = [
        (fit(m, n, num_classes, classwise), held_out_accuracy(m, n, num_classes, classwise, seeds))
        for m, n in shadows
    ]
    results = [_result(of_seed, *attacks[0 if pool else i]) for i, of_seed in enumerate(forget)]
    if pool:
        error = bootstrapped_error(members, nonmembers, forget, num_classes, classwise)
    else:
        error = _spread([result["mia"] for result in results])
    return [{**result, **({} if error is None else {"se": error})} for result in results]


def default_shares(rows: Sequence[Outputs]) -> list[float]:
    """The MIA of each seed alone, by the attack as it is by default."""
    members, nonmembers, forget = (_scored(rows, name, "confidence") for name in ("retain", "test", "forget"))
    attack = fit(join(members), join(nonmembers), rows[0].logits["forget"].shape[1], classwise=False)
    return [attack.share(of_seed) for of_seed in forget]


def _scored(rows: Sequence[Outputs], name: SetName, statistic: str) -> list[Scored]:
    """The scores and labels of a set, seed by seed."""
    if statistic not in STATISTICS:
        raise ValueError(f"unknown statistic {statistic!r}.{suggestion(statistic, STATISTICS)}")
    of_seeds = [outputs.of(name) for outputs in rows]
    return [(STATISTICS[statistic](logits, labels), labels) for logits, labels in of_seeds]


def _spread(values: Sequence[float]) -> float | None:
    """The standard error of the mean of independent values, None of one; their order changes no bit."""
    return float(np.std(np.sort(values), ddof=1)) / len(values) ** 0.5 if len(values) > 1 else None


def _result(forget: Scored, attack: Attack, held_out: Mapping[str, float]) -> dict[str, float]:
    classes = np.unique(forget[1])
    return {
        "mia": attack.share(forget),
        **held_out,
        "degenerate": float(attack.degenerate[classes].any()),
        "fallback_classes": float(attack.fallback[classes].sum()),
    }
