"""RMIA, the offline robust membership inference attack (Zarifzadeh et al., 2024) on Retrains.

    ratio(x) = p(x) / (((1 + a) mean_out(x) + 1 - a) / 2)
    score(x) = share of the population z with ratio(x) / ratio(z) > gamma

p is the model's probability of the true class, mean_out(x) that of the further Retrains of the seed,
which never saw x. The score is how much more the model knows x than models that did not train on it,
by the measure of images it did not train on either.

The constants are those of IAM's copy (Wang et al., 2025), which trims the mean from five Retrains on; the
authors' Privacy Meter takes gamma = 1 and the plain softmax probability by default.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mubench.api.metric import metric
from mubench.api.outputs import Outputs, SetName
from mubench.api.scores import Floats, confidence
from mubench.metrics.divergence import same_images
from mubench.metrics.ranking import Scored, matched_auc, matched_tpr

MARGIN = 0.6


def signal(outputs: Outputs, name: SetName, temperature: float) -> Floats:
    """The soft-margin probability (n,) of the true class, e^(z_y / T - m) against the other classes' terms.

    The authors' code has a cubic Taylor polynomial in place of the exponential, which is negative for
    logits below -1.6 T and changes when a constant is added to all logits.
    """
    odds = confidence(outputs.logits[name] / temperature, outputs.labels[name]) - MARGIN
    out: Floats = np.exp(-np.logaddexp(0.0, -odds))
    return out


def ratios(
    outputs: Outputs, retrains: Sequence[Outputs], name: SetName, a: float, temperature: float
) -> Floats:
    """(n,): the model's signal over that of the marginal, which the Retrains stand for."""
    for one in retrains:
        same_images(outputs, one, name)
    mean_out = np.mean([signal(one, name, temperature) for one in retrains], axis=0)
    out: Floats = signal(outputs, name, temperature) / (((1 + a) * mean_out + 1 - a) / 2)
    return out


@metric("rmia", title="RMIA", better="reference", needs="retrains")
def rmia(
    rows: Sequence[Outputs],
    retrains: Sequence[Sequence[Outputs]],
    originals: Sequence[Outputs],
    *,
    a: float = 0.33,
    gamma: float = 2.0,
    temperature: float = 2.0,
) -> list[dict[str, float]]:
    """Class-matched AUC of forget against test, in percent; `rmia_tpr` is the TPR at 1 % FPR.

    a: how much less an average model knows than one that saw the image (0.33 on CIFAR-10, 0.6 on
    CIFAR-100 with temperature 1). The population is the validation images: test images are the
    non-members of the AUC, and would be measured against themselves. Absent without validation images.
    """
    return [
        _result(outputs, of_seed, a, gamma, temperature)
        for outputs, of_seed, _ in zip(rows, retrains, originals, strict=True)
    ]


def _result(
    outputs: Outputs, retrains: Sequence[Outputs], a: float, gamma: float, temperature: float
) -> dict[str, float]:
    if not len(outputs.labels.get("val", ())):
        return {}
    population = np.sort(ratios(outputs, retrains, "val", a, temperature))

    def scored(name: SetName) -> Scored:
        reached = ratios(outputs, retrains, name, a, temperature) / gamma
        return np.searchsorted(population, reached, "left") / len(population), outputs.labels[name]

    forget, test = scored("forget"), scored("test")
    values = {"rmia": matched_auc(forget, test), "tpr": matched_tpr(forget, test)}
    return {name: value for name, value in values.items() if value is not None}
