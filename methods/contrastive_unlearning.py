"""Contrastive Unlearning: forget features leave their class for the others (Lee et al., 2025)."""

from collections.abc import Callable
from itertools import islice

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from mubench import Classifier, Step, Task, choice, log_uniform, method


def pull_and_push(z_f: Tensor, y_f: Tensor, z_r: Tensor, y_r: Tensor, tau: float) -> Tensor:
    """-mean_a log e^(z.z_a/tau) / sum_p e^(z.z_p/tau), mean over the forget images; cosine similarity.

    z_f, z_r: features (b, d), (m, d); a runs over retain images of other labels, p over those of the same.
    An image that meets no p is only pulled, one that meets no a adds 0.
    """
    similarity = normalize(z_f) @ normalize(z_r).T / tau
    same = y_f[:, None] == y_r
    others = (~same).sum(1)
    pull = (similarity * ~same).sum(1) / others.clamp(min=1)
    push = similarity.masked_fill(~same, torch.finfo(similarity.dtype).min).logsumexp(1)
    push = torch.where(same.any(1), push, torch.zeros_like(push))
    return ((push - pull) * (others > 0)).mean()


def contrast_and_fit(weight: float, tau: float) -> Callable[..., Tensor]:
    """weight * contrast of a forget batch with a retain batch + CE of the latter, from one joint pass."""

    def loss(model: Classifier, x_f: Tensor, y_f: Tensor, x_r: Tensor, y_r: Tensor) -> Tensor:
        z_f, z_r = model.features(torch.cat([x_f, x_r])).tensor_split([len(y_f)])
        fit = cross_entropy(model.head(z_r), y_r)
        return weight * pull_and_push(z_f, y_f, z_r, y_r, tau) + fit

    return loss


@method(
    "Contrastive Unlearning",
    sees=("forget", "retain"),
    cite="Lee et al. 2025",
    search={
        "lr": log_uniform(1e-4, 1e-1),
        "weight": log_uniform(0.1, 10.0),
        "tau": choice(0.1, 0.4, 0.7, 1.0),
    },
)
def contrastive_unlearning(
    model: Classifier,
    task: Task,
    *,
    epochs: int = 3,
    lr: float = 1e-3,
    rounds: int = 4,
    weight: float = 3.0,
    tau: float = 0.7,
) -> None:
    """min weight L_UL + CE(D_r) over pairs of a forget and a retain batch, L_UL as in `pull_and_push`.

    epochs: passes over D_f, 3; lr: 1e-3; rounds: retain batches that meet each forget batch, 4; weight: 3;
    tau: 0.7 (all the public code's defaults; its README takes 1 epoch for a class, 30 for 500 images).
    lr is searched in [1e-4, 1e-1], weight in [0.1, 10], tau in 0.1 to 1. Momentum 0.9, no weight decay,
    BatchNorm in train mode on both batches together.
    The public code differs: it stops once accuracy on D_f is at that on test data, which a method must not
    see; its features are a projection head's; the push is weighted by m / |a| (sums over all m, divides by
    |a|), and is NaN for an image that meets no p in random forgetting; it draws retain images with
    replacement. Cost: epochs x rounds x (n_f + the retain batches), about 2 x epochs x rounds x n_f.
    """
    step = Step(model, contrast_and_fit(weight, tau), lr, decay=0)
    retain = task.retain.cycle()
    for x_f, y_f in task.forget.epochs(epochs):
        for x_r, y_r in islice(retain, rounds):
            step(x_f, y_f, x_r, y_r)
