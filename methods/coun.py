"""CoUn: contrastive and supervised learning on the retain set alone (Khalil et al., 2025)."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from mubench import Classifier, Step, Task, choice, log_uniform, method


def nt_xent(one: Tensor, two: Tensor, tau: float) -> Tensor:
    """InfoNCE of two views (n, d), each the other's only positive among all 2n - 1 others; mean over 2n."""
    n = len(one)
    z = normalize(torch.cat([one, two]))
    similarity = (z @ z.T / tau).fill_diagonal_(float("-inf"))
    partner = torch.arange(2 * n, device=z.device).roll(n)
    return cross_entropy(similarity, partner)


def fit_and_contrast(weight: float, tau: float) -> Callable[..., Tensor]:
    """CE of the first view + weight * InfoNCE of both, from one joint pass."""

    def loss(model: Classifier, v: Tensor, w: Tensor, y: Tensor) -> Tensor:
        one, two = model.features(torch.cat([v, w])).chunk(2)
        return cross_entropy(model.head(one), y) + weight * nt_xent(one, two, tau)

    return loss


@method(
    "CoUn",
    sees="retain",
    cite="Khalil et al. 2025",
    search={
        "lr": log_uniform(1e-4, 1e-1),
        "weight": log_uniform(0.03, 3.0),
        "tau": choice(0.05, 0.1, 0.2, 0.5, 1.0),
    },
)
def coun(
    model: Classifier,
    task: Task,
    *,
    epochs: int = 10,
    lr: float = 0.01,
    weight: float = 1.0,
    tau: float = 0.1,
) -> None:
    """min CE(D_r) + weight L_CL(D_r), L_CL the InfoNCE of two augmentations of each retain image.

    A Retrain puts forget images near the retain images that look like them; L_CL, which knows no labels,
    moves them there, and CE keeps the clusters. D_f is never read.
    epochs: 10 and lr: 0.01, as FT; weight: 1; tau: 0.1. Recommended here: no settings of the authors
    were found. lr is searched in [1e-4, 1e-1], weight in [0.03, 3], tau in 0.05 to 1.
    The views are the dataset's augmentation. Momentum 0.9, weight decay 5e-4, BatchNorm in train mode on
    both views together. No code of the authors was found; the one public re-implementation seen, by
    others, gives L_CL two copies of one view, smooths labels and uses AdamW. Cost: epochs x 2 n_r.
    """
    step = Step(model, fit_and_contrast(weight, tau), lr)
    for _ in range(epochs):
        for (v, w), y in task.retain.labelled_views(2):
            step(v, w, y)
