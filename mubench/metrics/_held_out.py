"""How good an attack is on shadows that it was not fitted to, and by how much luck may have helped it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mubench.api.scores import Floats, Labels
from mubench.streams import numpy_stream

Scored = tuple[Floats, Labels]
# What a fitted attack calls non-member, of (n,) scores and labels.
Calls = Callable[[Scored], NDArray[np.bool_]]


def join(parts: Sequence[Scored]) -> Scored:
    """The scores of several seeds as one."""
    return np.concatenate([s for s, _ in parts]), np.concatenate([y for _, y in parts])


def halves(scored: Scored, side: str, classwise: bool) -> tuple[Scored, Scored]:
    """Two random halves of one side's scores, drawn class by class if `classwise`.

    Ranks are drawn, for every class from the same stream: neither the order of the samples nor the
    numbers of the classes nor a monotone map of the scores changes the halves.
    """
    scores, labels = scored
    groups = labels if classwise else np.zeros_like(labels)
    parts: tuple[list[Scored], list[Scored]] = [], []
    for c in np.unique(groups):
        ordered = np.sort(scores[groups == c])
        first = numpy_stream(0, "mia", side).permutation(len(ordered)) < len(ordered) // 2
        for half, chosen in zip(parts, (first, ~first), strict=True):
            half.append((ordered[chosen], np.full(int(chosen.sum()), c)))
    return join(parts[0]), join(parts[1])


def held_out(
    fit: Callable[[Scored, Scored], Calls],
    members: Scored,
    nonmembers: Scored,
    *,
    classwise: bool = False,
    seeds: int = 1,
) -> dict[str, float]:
    """`balanced_accuracy` in percent on shadows that `fit` has not seen, with its error; 50 is chance.

    Fitted on one half and scored on the other, both ways round, and averaged. seeds: how many models the
    shadows come from. `balanced_accuracy_se`, binomial, counts an image once however many have seen it.
    Empty if a half is empty.
    """
    sides = halves(members, "members", classwise), halves(nonmembers, "nonmembers", classwise)
    if not all(len(half[0]) for side in sides for half in side):
        return {}
    kept = turned_away = 0.0
    for this, other in ((0, 1), (1, 0)):
        calls = fit(sides[0][this], sides[1][this])
        kept += (1.0 - float(calls(sides[0][other]).mean())) / 2
        turned_away += float(calls(sides[1][other]).mean()) / 2
    images = len(members[0]) / seeds, len(nonmembers[0]) / seeds
    variance = kept * (1 - kept) / images[0] + turned_away * (1 - turned_away) / images[1]
    return {
        "balanced_accuracy": 100.0 * (kept + turned_away) / 2,
        "balanced_accuracy_se": 100.0 * max(variance, 0.0) ** 0.5 / 2,
    }
