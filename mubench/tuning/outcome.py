"""What a search found: a line per trial for tuning.csv, and how much each parameter matters."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import optuna
import pandas as pd

from mubench.tuning.study import Done, MethodStudy

# In tuning.csv, those on every development set come first, then by score.
STATES = ("complete", "pruned", "failed")


def frame(studies: Sequence[MethodStudy], metrics: Sequence[str]) -> pd.DataFrame:
    """A line per trial, best of each method first: score, means of the metrics, parameters, number and state.

    A trial that failed has no numbers. Those of a pruned one are of its first development sets only.
    """
    lines = []
    for study in studies:
        for one in sorted(study.done(), key=_place):
            means = {m: one.means.get(m, math.nan) for m in metrics}
            score = math.nan if one.score is None else one.score
            line = {"method": study.spec.name, "score": score, **means}
            text = json.dumps(one.parameters)
            lines.append({**line, "parameters": text, "trial": one.number, "state": one.state})
    return pd.DataFrame(lines)


def _place(one: Done) -> tuple[int, float, int]:
    return STATES.index(one.state), math.inf if one.score is None else one.score, one.number


def importances(study: MethodStudy) -> dict[str, float]:
    """Parameter -> its share of what makes good trials differ from others (PED-ANOVA), largest first.

    Watanabe et al. (2023). Empty where it cannot be known: no trial is better than another.
    """
    whole = [one for one in study.done() if one.state == "complete"]
    if len({one.score for one in whole}) < 2:
        return {}
    copy = optuna.create_study()
    for one in whole:
        drawn = {name: one.parameters[name] for name in study.space}
        trial = optuna.create_trial(params=drawn, distributions=study.space, value=one.score)
        copy.add_trial(trial)
    shares = optuna.importance.get_param_importances(copy)
    return shares if all(map(math.isfinite, shares.values())) else {}
