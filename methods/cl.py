"""CL: forget by KL to uniform, then push forget features away while fitting the rest (Tran and Le, 2025).

CL is WSS-CL (arXiv 2508.04308) without its mask; WS-CL and WSS-CL add one and nothing else.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mubench import Classifier, Mask, Step, Task, choice, cosine, cross_entropy_loss, log_uniform, method

Direction = Literal["u_p", "p_u"]
SEARCH = {
    "epochs_kl": choice(1, 2, 3, 5),
    "lr_kl": log_uniform(5e-4, 2e-1),
    "lr_push": log_uniform(3e-4, 3e-2),
    "lr_fit": log_uniform(1e-3, 1e-1),
    "tau": choice(0.1, 0.5, 1.0, 1.15, 1.4),
}


def kl_to_uniform(model: Classifier, x: Tensor) -> Tensor:
    """KL(u || p) = -log K - mean_k log p_k, mean over the batch; its logit gradient is (p - u) / B."""
    log_p = model(x).log_softmax(1)
    return -log_p.mean() - math.log(log_p.shape[1])


def kl_from_uniform(model: Classifier, x: Tensor) -> Tensor:
    """KL(p || u) = log K - H(p), mean over the batch: eq. 1 as printed; flat where p is confident."""
    log_p = model(x).log_softmax(1)
    return (log_p.exp() * log_p).sum(1).mean() + math.log(log_p.shape[1])


def info_nce(anchor: Tensor, positive: Tensor, negatives: Tensor, tau: float) -> Tensor:
    """Eq. 7: -log e^(a.a'/tau) / (e^(a.a'/tau) + sum_j e^(a.r_j/tau)), cosine similarity, mean over (b, d).

    No gradient reaches the negatives (m, d).
    """
    a, p, r = normalize(anchor), normalize(positive), normalize(negatives.detach())
    similarity = torch.cat([(a * p).sum(1, keepdim=True), a @ r.T], 1)
    return -(similarity / tau).log_softmax(1)[:, 0].mean()


def push_away(tau: float) -> Callable[..., Tensor]:
    """The contrastive loss of two views of a forget batch against a retain batch."""

    def loss(model: Classifier, v: Tensor, w: Tensor, r: Tensor) -> Tensor:
        with torch.no_grad():
            negatives = model.features(r)
        return info_nce(model.features(v), model.features(w), negatives, tau)

    return loss


@contextmanager
def logged_displacement(model: Classifier, task: Task) -> Iterator[None]:
    """Log how far each parameter moves inside, as the norm of its change."""
    with task.aside():
        start = {n: p.detach().clone() for n, p in model.named_parameters()}
    yield
    with task.aside():
        task.log(displacement={n: float((p.detach() - start[n]).norm()) for n, p in model.named_parameters()})


def blur(
    model: Classifier, task: Task, epochs: int, lr: float, direction: Direction, mask: Mask | None = None
) -> None:
    """Phase 1 (section 3.3): `epochs` passes over D_f towards the uniform distribution."""
    kl = kl_to_uniform if direction == "u_p" else kl_from_uniform
    step = Step(model, kl, lr, decay=0, mask=mask)
    for x, _ in task.forget.epochs(epochs):
        step(x)
    with task.aside(), torch.no_grad():
        reached = [float(kl(model.eval(), x)) * len(x) for x, _ in task.forget.plain()]
        task.log(kl_after_phase_1=sum(reached) / max(1, len(task.forget)))


def push_and_fit(
    model: Classifier,
    task: Task,
    epochs: int,
    lr_push: float,
    lr_fit: float,
    decay: float,
    tau: float,
    mask: Mask | None = None,
) -> None:
    """Phase 2 (sections 3.4 and 3.5): each epoch a contrastive pass over D_f, then a fitting one over D_r."""
    total = max(1, epochs * task.forget.batches)
    push = Step(model, push_away(tau), lr_push, decay=0, mask=mask, schedule=cosine(total))
    fit = Step(model, cross_entropy_loss, lr_fit, decay=decay, mask=mask)
    pushed, retain_batches = [], task.retain.cycle()
    for _ in range(epochs):
        for (v, w), (r, _) in zip(task.forget.views(2), retain_batches, strict=False):
            pushed.append(push(v, w, r))
        for x, y in task.retain:
            fit(x, y)
    with task.aside():
        first, last = (float(pushed[i]) if pushed else None for i in (0, -1))
        task.log(contrastive_first=first, contrastive_last=last)


@method("CL", sees=("forget", "retain"), cite="Tran and Le 2025", search=SEARCH)
def cl(
    model: Classifier,
    task: Task,
    *,
    epochs_kl: int = 1,
    lr_kl: float = 5e-3,
    kl_direction: Direction = "u_p",
    epochs: int = 10,
    lr_push: float = 1e-3,
    lr_fit: float = 1e-2,
    decay: float = 5e-4,
    tau: float = 1.4,
) -> None:
    """Phase 1: min KL(u || p) on D_f. Phase 2, each epoch: InfoNCE on D_f against D_r, then CE on D_r.

    epochs_kl: passes of phase 1, 1. lr_kl: 5e-3; searched up to 0.2, for forget sets of a few batches.
    kl_direction: "u_p" is KL(u || p); "p_u" is eq. 1 as printed, whose gradient vanishes where the
    original is confident. epochs: rounds of phase 2, 10. lr_push: rate of the contrastive step, 1e-3,
    cosine to 0. lr_fit: rate of the fitting step, 1e-2. decay: weight decay of the fitting step, 5e-4
    (the others have none). tau: temperature 1.4, the only hyper-parameter the paper prints; the others
    are recommendations after the recipe it descends from.
    Momentum 0.9, BatchNorm in train mode, retain last. Logged: KL on D_f after phase 1, first and last
    contrastive loss, displacement by layer.
    Cost: epochs_kl x n_f + epochs x (2 n_f + n_f / 3 + n_r).
    """
    with logged_displacement(model, task):
        blur(model, task, epochs_kl, lr_kl, kl_direction)
        push_and_fit(model, task, epochs, lr_push, lr_fit, decay, tau)
