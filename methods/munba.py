"""MUNBa: forget and retain gradients strike a Nash bargain at every step (Wu and Harandi, 2025)."""

from collections.abc import Sequence
from itertools import chain, repeat

import torch
from torch import Tensor

from mubench import Classifier, Step, Task, cross_entropy_loss, log_uniform, method

from ._steps import along, clipped, gradient, inner
from .rl import random_labels


def bargain(g_r: Sequence[Tensor], g_f: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """alpha with G^T G alpha = 1 / alpha: alpha_i = 1 / (|g_i| sqrt(1 + cos)); (1, 0.1) if there is none.

    There is none where a gradient vanishes or both point exactly against each other.
    """
    rr, rf, ff = inner(g_r, g_r), inner(g_r, g_f), inner(g_f, g_f)
    scale = (1 + rf / (rr * ff).sqrt()).sqrt()
    alpha = 1 / (rr.sqrt() * scale), 1 / (ff.sqrt() * scale)
    agreed = alpha[0].isfinite() & alpha[1].isfinite()
    return torch.where(agreed, alpha[0], 1.0), torch.where(agreed, alpha[1], 0.1)


@method(
    "MUNBa",
    sees=("forget", "retain"),
    cite="Wu and Harandi 2025",
    search={"lr": log_uniform(1e-4, 1e-1)},
)
def munba(model: Classifier, task: Task, *, epochs: int = 10, lr: float = 0.01) -> None:
    """theta <- theta - lr (alpha_r g_r + alpha_f g_f), g_r = grad CE(D_r), g_f = grad CE(x, y').

    y' is a label drawn uniformly for each forget image. alpha_i = 1 / (|g_i| sqrt(1 + cos)) makes the
    direction bisect both gradients, with norm sqrt(2) whatever they are; it is clipped to 1. Retain
    batches beyond the last forget batch of an epoch take a plain step.
    epochs: 10, lr: 0.01 (the public code's defaults; it comes without settings); lr is searched in
    [1e-4, 1e-1]. Momentum 0.9, weight decay 5e-4, BatchNorm in train mode.
    The public code adds 1e-8 to denominators of the order of |g_r|^4 |g_f|^2 and |g_r| |g_f|, which
    governs where gradients are small, and goes backward once more. Cost: epochs x (n_f + n_r), of n_f
    no more batches than n_r has.
    """
    follow = Step(model, along, lr)
    for _ in range(epochs):
        for (x, y), batch in zip(task.retain, chain(task.forget, repeat(None)), strict=False):
            g = gradient(model, cross_entropy_loss, x, y)
            if batch is not None:
                x_f, y_f = batch
                wrong = random_labels(y_f, task.num_classes, task.rng, exclude_true=False)
                g_f = gradient(model, cross_entropy_loss, x_f, wrong)
                a, b = bargain(g, g_f)
                g = clipped([a * p + b * q for p, q in zip(g, g_f, strict=True)], 1.0)
            follow(*g)
