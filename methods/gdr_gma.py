"""GDR-GMA: gradients rid of their conflict, weighed by the retain loss (Lin et al., 2024)."""

from collections import deque
from collections.abc import Iterable

import torch
from torch import Tensor

from mubench import AdamStep, Classifier, Task, choice, cross_entropy_loss, log_uniform, method

from ._steps import along, negative_cross_entropy, valued_gradient


def without(x: Tensor, y: Tensor) -> Tensor:
    """x without its component along y where <x, y> < 0 (GDR), else x."""
    along_y = (x * y).sum() / (y * y).sum().clamp(min=1e-30)
    return x - along_y.clamp(max=0) * y


def opposing(g: Tensor, bank: Iterable[Tensor]) -> Tensor:
    """The mean of the bank's gradients that oppose g; zeros if none does."""
    against = [b for b in bank if (b * g).sum() < 0]
    return torch.stack(against).mean(0) if against else torch.zeros_like(g)


@method(
    "GDR-GMA",
    sees=("forget", "retain"),
    cite="Lin et al. 2024",
    search={"lr": log_uniform(1e-6, 1e-2), "gamma": choice(10.0, 100.0), "epsilon": log_uniform(1e-3, 1.0)},
)
def gdr_gma(
    model: Classifier,
    task: Task,
    *,
    epochs: int = 10,
    lr: float = 1e-4,
    gamma: float = 100.0,
    epsilon: float = 0.02,
) -> None:
    """Descend (1 - w) g_r' + w g_f', with g_r = grad CE(D_r), g_f = grad -CE(D_f), tensor by tensor.

    GDR: g_r' and g_f' have lost what opposes the other. For the last tensor (the head's bias) g_f' also
    loses, from the second epoch on, what opposes the mean of those g_f of the last forget.batches steps
    that oppose it. GMA: w = 1 / (1 + exp(gamma (CE of the retain batch - epsilon))): retaining goes first.
    epochs: 10, lr: 1e-4, gamma: 100, epsilon: 0.02 (public code). lr is searched in [1e-6, 1e-2], gamma in
    10 and 100, epsilon in [1e-3, 1]: a model that fits D_r less closely never forgets at 0.02. AdamW with
    weight decay 0.01, BatchNorm in train mode. An epoch ends with the shorter set.
    The public code takes the already changed g_r' in g_f - <g_r, g_f> / |g_r|^2 g_r', which does not
    remove the conflict, and its mean over the bank adds into the bank's first entry.
    Cost: epochs x (n_f + as many batches of D_r).
    """
    follow = AdamStep(model, along, lr, decay=0.01)
    bank: deque[Tensor] = deque(maxlen=max(task.forget.batches, 1))
    for epoch in range(epochs):
        for forget, retain in zip(task.forget, task.retain, strict=False):
            fit, g_r = valued_gradient(model, cross_entropy_loss, *retain)
            _, g_f = valued_gradient(model, negative_cross_entropy, *forget)
            bank.append(g_f[-1])
            kept = [without(r, f) for r, f in zip(g_r, g_f, strict=True)]
            forgot = [without(f, r) for r, f in zip(g_r, g_f, strict=True)]
            if epoch > 0:
                forgot[-1] = without(forgot[-1], opposing(forgot[-1], bank))
            w = torch.sigmoid(gamma * (epsilon - fit))
            follow(*[(1 - w) * r + w * f for r, f in zip(kept, forgot, strict=True)])
