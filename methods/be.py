"""BE: boundary expanding, into an extra class that is then cut off (Chen et al., 2023)."""

import torch
from torch import nn

from mubench import Classifier, Step, Task, cross_entropy_loss, log_uniform, method


def with_rows(head: nn.Linear, rows: int, rng: torch.Generator) -> nn.Linear:
    """A linear layer with `rows` outputs: the first ones are `head`'s, further ones freshly drawn."""
    wide = nn.Linear(head.in_features, rows).to(head.weight)
    kept = min(rows, head.out_features)
    bound = head.in_features**-0.5
    with torch.no_grad():
        for new, old in ((wide.weight, head.weight), (wide.bias, head.bias)):
            new.uniform_(-bound, bound, generator=rng)
            new[:kept] = old[:kept]
    return wide


@method("BE", sees="forget", cite="Chen et al. 2023", search={"lr": log_uniform(1e-6, 1e-1)})
def boundary_expanding(model: Classifier, task: Task, *, epochs: int = 10, lr: float = 1e-6) -> None:
    """min CE over K + 1 classes of (f'(x), K) on D_f, all parameters training; row K is then deleted.

    epochs: 10. lr: 1e-6 (public scripts for 10 % of CIFAR-10); published range [1e-6, 1e-4], searched up
    to 1e-1 because rates that small do not move a small model. New row: the default initialisation of
    a linear layer (SalUn's port). The port also keeps row K at evaluation, which inflates UA; here
    the model has K logits again. Weight decay 5e-4, BatchNorm in train mode. Cost: epochs x n_f.
    """
    model.head = with_rows(model.head, task.num_classes + 1, task.rng)
    expand = Step(model, cross_entropy_loss, lr)
    for x, y in task.forget.epochs(epochs):
        expand(x, torch.full_like(y, task.num_classes))
    model.head = with_rows(model.head, task.num_classes, task.rng)
