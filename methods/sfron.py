"""SFRon: adaptive ascent on salient weights amid fitting of the rest (Huang et al., 2024)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mubench import Classifier, Task, cosine, cross_entropy_loss, log_uniform, method, squared_gradients

from ._steps import clipped

Tensors = Sequence[Tensor]


def adaptive_loss(model: Classifier, x: Tensor, y: Tensor, lam: float) -> Tensor:
    """sum_i c_i CE_i / sum_i c_i with constants c_i = CE_i^-lam: what is forgotten already counts less."""
    each = cross_entropy(model(x), y, reduction="none")
    share = 1 / (each.detach() ** lam + 1e-15)
    return (share * each).sum() / share.sum()


def salient(model: Classifier, task: Task, gamma: float) -> Tensors:
    """For each parameter, 1 where the diagonal Fisher of D_f is at least gamma times that of D_r, else 0."""
    forget = squared_gradients(model, cross_entropy_loss, task.forget)
    retain = squared_gradients(model, cross_entropy_loss, task.retain)
    return [((f + 1e-15) / (retain[n] + 1e-15) >= gamma).to(f.dtype) for n, f in forget.items()]


@torch.no_grad()
def descend(weights: Tensors, velocity: Tensors, gradients: Tensors, lr: float) -> None:
    """One step of SGD with momentum 0.9 and weight decay 5e-4."""
    for p, v, g in zip(weights, velocity, gradients, strict=True):
        v.mul_(0.9).add_(g + 5e-4 * p)
        p.sub_(lr * v)


@method(
    "SFRon",
    sees=("forget", "retain"),
    cite="Huang et al. 2024",
    search={"lr": log_uniform(1e-4, 1e-1), "alpha": log_uniform(0.1, 100.0)},
)
def saliency_forgetting(
    model: Classifier,
    task: Task,
    *,
    epochs: int = 5,
    lr: float = 0.01,
    alpha: float = 25.0,
    every: int = 5,
    lam: float = 0.5,
    gamma: float = 1.0,
    max_norm: float = 7.0,
) -> None:
    """min CE over D_r; before each 5th step one of max alpha_t x adaptive CE over D_f, on salient weights.

    All defaults are the public code's for 10 % of CIFAR-10 (arXiv 2409.19732). epochs: passes over D_r, 5;
    there 1,500 batches of 128, which are 4.7 passes over 40,500 images. lr: 0.01, by a cosine to 0; searched
    in [1e-4, 1e-1]. alpha: weight of the ascent, 25, by the same cosine; in [0.1, 100]. every: 5.
    lam: power of the adaptive weights, 0.5. gamma: threshold of the mask, 1. max_norm: the ascent's
    gradient is clipped to 7 after the mask. Both kinds of step share momentum 0.9 and weight decay
    5e-4, which move masked-out weights too, as published; hence no `Step`. The paper's average of fast and
    slow weights is off in the public code, and absent here. Fisher: squared gradients of batches, in
    eval mode; else BatchNorm in train mode. Cost: n_f + n_r + epochs x n_r + a batch of D_f each 5 steps.
    """
    mask = salient(model, task, gamma)
    fall, forget = cosine(max(1, epochs * task.retain.batches)), task.forget.cycle()
    weights = list(model.parameters())
    velocity = [torch.zeros_like(p) for p in weights]
    model.train()
    for step, (x, y) in enumerate(task.retain.epochs(epochs)):
        if step % every == 0 and (batch := next(forget, None)):
            ascent = -alpha * fall(step) * adaptive_loss(model, *batch, lam)
            slopes = torch.autograd.grad(ascent, weights)
            masked = clipped([m * g for m, g in zip(mask, slopes, strict=True)], max_norm)
            descend(weights, velocity, masked, lr * fall(step))
        slopes = torch.autograd.grad(cross_entropy_loss(model, x, y), weights)
        descend(weights, velocity, slopes, lr * fall(step))
