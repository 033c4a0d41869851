"""CL: forget by KL to uniform, then push forget features away while fitting the rest (Tran and Le, 2025).

CL is WSS-CL (arXiv 2508.04308) without its mask; WS-CL and WSS-CL add one and nothing else.
"""

import math
from typing import Literal

import torch
from torch.nn.functional import normalize

from mubench import Step, choice, cross_entropy_loss, log_uniform, method
from mubench.api.training import cosine

SEARCH = {
    "epochs_kl": choice(1, 2, 3, 5),
    "lr_kl": log_uniform(5e-4, 2e-1),
    "lr_push": log_uniform(3e-4, 3e-2),
    "lr_fit": log_uniform(1e-3, 1e-1),
    "tau": choice(0.1, 0.5, 1.0, 1.15, 1.4),
}


def kl_to_uniform(model, x):
    """KL(u || p) = -log K - mean_k log p_k, mean over the batch; its logit gradient is (p - u) / B."""
    log_p = model(x).log_softmax(1)
    return -log_p.mean() - math.log(log_p.shape[1])


def kl_from_uniform(model, x):
    """KL(p || u) = log K - H(p), mean over the batch: eq. 1 as printed; flat where p is confident."""
    log_p = model(x).log_softmax(1)
    return (log_p.exp() * log_p).sum(1).mean() + math.log(log_p.shape[1])


def info_nce(anchor, positive, negatives, tau):
    """Eq. 7: -log e^(a.a'/tau) / (e^(a.a'/tau) + sum_j e^(a.r_j/tau)), cosine similarity, mean over (b, d).

    No gradient reaches the negatives (m, d).
    """
    a, p, r = normalize(anchor), normalize(positive), normalize(negatives.detach())
    own = (a * p).sum(1, keepdim=True)
    return -(torch.cat([own, a @ r.T], 1) / tau).log_softmax(1)[:, 0].mean()


def push_away(tau):
    """The contrastive loss of two views of a forget batch against a retain batch."""

    def loss(model, v, w, r):
        with torch.no_grad():
            negatives = model.features(r)
        return info_nce(model.features(v), model.features(w), negatives, tau)

    return loss


def contrastive_unlearning(
    model, task, *, epochs_kl, lr_kl, kl_direction, epochs, lr_push, lr_fit, decay, tau, mask=None
):
    """Both phases (sections 3.3 to 3.5), every update under `mask`, each loss with its own optimiser."""
    kl = kl_to_uniform if kl_direction == "u_p" else kl_from_uniform
    with task.aside():
        start = {n: p.detach().clone() for n, p in model.named_parameters()}
    blur = Step(model, kl, lr_kl, decay=0, mask=mask)
    for x, _ in task.forget.epochs(epochs_kl):
        blur(x)
    with task.aside(), torch.no_grad():
        reached = [float(kl(model.eval(), x)) * len(x) for x, _ in task.forget.plain()]
    total = max(1, epochs * task.forget.batches)
    push = Step(model, push_away(tau), lr_push, decay=0, mask=mask, schedule=cosine(total))
    fit = Step(model, cross_entropy_loss, lr_fit, decay=decay, mask=mask)
    pushed, others = [], task.retain.cycle()
    for _ in range(epochs):
        for (v, w), (r, _) in zip(task.forget.views(2), others, strict=False):
            pushed.append(push(v, w, r))
        for x, y in task.retain:
            fit(x, y)
    with task.aside():
        task.log(
            kl_after_phase_1=sum(reached) / max(1, len(task.forget)),
            contrastive_first=float(pushed[0]) if pushed else None,
            contrastive_last=float(pushed[-1]) if pushed else None,
            displacement={n: float((p.detach() - start[n]).norm()) for n, p in model.named_parameters()},
        )


@method("CL", sees=("forget", "retain"), cite="Tran and Le 2025", search=SEARCH)
def cl(
    model,
    task,
    *,
    epochs_kl: int = 1,
    lr_kl: float = 5e-3,
    kl_direction: Literal["u_p", "p_u"] = "u_p",
    epochs: int = 10,
    lr_push: float = 1e-3,
    lr_fit: float = 1e-2,
    decay: float = 5e-4,
    tau: float = 1.4,
):
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
    contrastive_unlearning(
        model,
        task,
        epochs_kl=epochs_kl,
        lr_kl=lr_kl,
        kl_direction=kl_direction,
        epochs=epochs,
        lr_push=lr_push,
        lr_fit=lr_fit,
        decay=decay,
        tau=tau,
    )
