"""FCS: forget, contrast, strengthen; a winner of the NeurIPS 2023 competition, and the parent of CL."""

from collections.abc import Callable

import torch
from torch import Tensor

from mubench import Classifier, Step, Task, cosine, cross_entropy_loss, method

from .cl import SEARCH, blur


def unlike_all(tau: float) -> Callable[..., Tensor]:
    """-mean log softmax_j(z_f . z_r / tau) over forget rows (b, K) and retain rows j (m, K), of logits.

    Every retain image is a positive of every forget image, so that the least is log m, where the
    forget logits are equally like all of them. No gradient reaches the retain side.
    """

    def loss(model: Classifier, x: Tensor, r: Tensor) -> Tensor:
        z = model(x)
        with torch.no_grad():
            others = model(r)
        return -(z @ others.T / tau).log_softmax(1).mean()

    return loss


@method(
    "FCS",
    sees=("forget", "retain"),
    cite="Triantafillou et al. 2024; Cadet et al. 2024",
    search=SEARCH,
)
def forget_contrast_strengthen(
    model: Classifier,
    task: Task,
    *,
    epochs_kl: int = 1,
    lr_kl: float = 5e-3,
    epochs: int = 8,
    lr_push: float = 3e-4,
    lr_fit: float = 4e-3,
    decay: float = 1e-2,
    tau: float = 1.15,
) -> None:
    """Phase 1: min KL(u || p) on D_f. Phase 2, each epoch: -mean log softmax(z_f z_r / tau), then CE on D_r.

    All defaults are the entry's, by its re-implementation in Deep Unlearn (KGLTop1, arXiv 2410.01276).
    epochs_kl: passes of phase 1, 1. lr_kl: 5e-3. epochs: rounds of phase 2, 8. lr_push: rate of the
    contrastive step, 3e-4, by a cosine to 1e-6. lr_fit: 1e-3 x 256 / 64 for batches of 256. decay: weight
    decay of the fitting step, 1e-2 (the others have none). tau: 1.15, on logits that are not normalised.
    Searched as CL, so that the two compare. Unlike CL: logits for features, all pairs attract alike, no
    second view, and a contrastive pass ends with the shorter of D_f and D_r.
    Momentum 0.9, BatchNorm in train mode, the retain batch of a contrastive step included.
    Cost: epochs_kl x n_f + epochs x (n_f + n_f / 3 + n_r).
    """
    blur(model, task, epochs_kl, lr_kl, "u_p")
    total = max(1, epochs * task.forget.batches)
    push = Step(model, unlike_all(tau), lr_push, decay=0, schedule=cosine(total, 1e-6 / max(lr_push, 1e-6)))
    fit = Step(model, cross_entropy_loss, lr_fit, decay=decay)
    for _ in range(epochs):
        for (x, _), (r, _) in zip(task.forget, task.retain, strict=False):
            push(x, r)
        for x, y in task.retain:
            fit(x, y)
