"""RL: random labels on the forget set, true labels on the rest (Golatkar et al., 2020; Graves et al.)."""

from typing import Literal

import torch
from torch import Tensor

from mubench import Classifier, Mask, Step, Task, cross_entropy_loss, log_uniform, method

Redraw = Literal["epoch", "once"]
Order = Literal["sequential", "mixed"]


def random_labels(y: Tensor, num_classes: int, rng: torch.Generator, exclude_true: bool) -> Tensor:
    """Uniform labels (n,) in 0..K-1; with `exclude_true`, uniform over the K - 1 wrong ones."""
    if not exclude_true:
        return torch.randint(num_classes, y.shape, generator=rng, device=y.device)
    return (y + torch.randint(1, num_classes, y.shape, generator=rng, device=y.device)) % num_classes


def relabel_and_fit(
    model: Classifier,
    task: Task,
    *,
    epochs: int,
    lr: float,
    exclude_true: bool,
    redraw: Redraw,
    order: Order,
    mask: Mask | None = None,
) -> None:
    """The training of RL; SalUn is the same under a weight mask."""
    fit = Step(model, cross_entropy_loss, lr, mask=mask)
    for epoch in range(epochs):
        if epoch == 0 or redraw == "epoch":
            labels = random_labels(task.forget.labels, task.num_classes, task.rng, exclude_true)
            wrong = task.forget.relabelled(labels)
        parts = (wrong, task.retain) if order == "sequential" else (wrong.joined(task.retain),)
        for part in parts:
            for x, y in part:
                fit(x, y)


@method(
    "RL",
    sees=("forget", "retain"),
    cite="Golatkar et al. 2020; Graves et al. 2021",
    search={"lr": log_uniform(1e-4, 1e-1)},
)
def random_labelling(
    model: Classifier,
    task: Task,
    *,
    epochs: int = 10,
    lr: float = 0.013,
    exclude_true: bool = False,
    redraw: Redraw = "epoch",
    order: Order = "sequential",
) -> None:
    """min CE(f(x), y') over D_f with random y', and CE(f(x), y) over D_r (SalUn, eq. 6, alpha = 1).

    epochs: 10. lr: SGD learning rate, 0.013 (recommended here: the value SalUn publishes for the same
    training under its mask); searched in [1e-4, 1e-1]. exclude_true: never draw the true class (the
    paper's form); the public code does draw it, 1 in K times, and so does the default. redraw: new
    labels each epoch (public code) or once (Amnesiac). order: a pass over D_f, then one over D_r
    (public code on CIFAR-10), or both shuffled together (on CIFAR-100). Momentum 0.9, weight decay
    5e-4, BatchNorm in train mode. Cost: epochs x (n_f + n_r).
    """
    relabel_and_fit(model, task, epochs=epochs, lr=lr, exclude_true=exclude_true, redraw=redraw, order=order)
