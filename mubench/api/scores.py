"""How much a model looks like it has seen an image: the statistics that attacks threshold.

Each maps logits (n, K >= 2), finite, and labels (n,) to scores (n,) float64; a member scores higher.
Nothing saturates: an image on which a softmax rounds to 1 still has a rank. Sums run over sorted
terms, so that relabelling the classes changes no bit, and ties stay ties.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Logits = NDArray[np.floating[Any]]
Labels = NDArray[np.int64]


def _log_sum_exp(rows: Floats) -> Floats:
    rows = np.sort(rows, axis=1)
    top = rows[:, -1]
    total: Floats = top + np.log(np.exp(rows - top[:, None]).sum(axis=1))
    return total


def _centred(logits: Logits) -> tuple[Floats, Floats]:
    """Logits less their row's largest, and the log-sum-exp of all but that largest one."""
    z = np.ascontiguousarray(logits, np.float64)
    d: Floats = z - z.max(axis=1, keepdims=True)
    return d, _log_sum_exp(np.sort(d, axis=1)[:, :-1])


def log_softmax(logits: Logits) -> Floats:
    """Log-probabilities (n, K) in nats, exact near 0: a confident model's are -1e-20 and not 0."""
    d, rest = _centred(logits)
    out: Floats = d - np.logaddexp(0.0, rest)[:, None]
    return out


def correctness(logits: Logits, labels: Labels) -> Floats:
    """1 if the largest logit is the label's, else 0; of equal logits the lowest class wins."""
    out: Floats = (logits.argmax(axis=1) == labels).astype(np.float64)
    return out


def confidence(logits: Logits, labels: Labels) -> Floats:
    """z_y - log sum_{i != y} exp z_i: the log-odds of the true class, which rank as p_y does."""
    z = np.ascontiguousarray(logits, np.float64)
    other = np.arange(z.shape[1]) != labels[:, None]
    rest = _log_sum_exp(z[other].reshape(len(z), -1))
    out: Floats = z[np.arange(len(z)), labels] - rest
    return out


def entropy(logits: Logits, labels: Labels) -> Floats:
    """sum_i p_i log p_i, in nats: the negative entropy of the prediction, blind to the label."""
    log_p = log_softmax(logits)
    out: Floats = np.sort(np.exp(log_p) * log_p, axis=1).sum(axis=1)
    return out


def modified_entropy(logits: Logits, labels: Labels) -> Floats:
    """(1 - p_y) log p_y + sum_{i != y} p_i log(1 - p_i): minus the modified entropy, in nats.

    Song and Mittal, "Systematic Evaluation of Privacy Risks of Machine Learning Models" (2021).
    """
    d, rest = _centred(logits)
    total = np.logaddexp(0.0, rest)
    log_p = d - total[:, None]
    p = np.exp(log_p)
    # 1 - p cancels where p is near 1; there it is what all the others have together.
    with np.errstate(divide="ignore"):
        log_not = np.where(p > 0.5, (rest - total)[:, None], np.log1p(-p))
    terms = p * log_not
    own = np.arange(len(d)), labels
    terms[own] = np.exp(log_not[own]) * log_p[own]
    out: Floats = np.sort(terms, axis=1).sum(axis=1)
    return out


STATISTICS: Mapping[str, Callable[[Logits, Labels], Floats]] = MappingProxyType(
    {f.__name__: f for f in (confidence, correctness, entropy, modified_entropy)}
)
