"""DELETE: distil the original's own view of the forget set without the true class (Zhou et al., 2025)."""

import copy

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div

from mubench import Classifier, Step, Task, log_uniform, method


def without_true(teacher: Classifier, x: Tensor, y: Tensor) -> Tensor:
    """(b, K) the teacher's probabilities with that of the true class moved to the others in proportion."""
    with torch.no_grad():
        return teacher(x).scatter(1, y[:, None], float("-inf")).softmax(1)


def distil(model: Classifier, x: Tensor, target: Tensor) -> Tensor:
    """KL(target || p), mean over the batch."""
    return kl_div(model(x).log_softmax(1), target, reduction="batchmean")


@method("DELETE", sees="forget", cite="Zhou et al. 2025", search={"lr": log_uniform(1e-5, 1e-1)})
def decoupled_distillation(
    model: Classifier, task: Task, *, epochs: int = 20, lr: float = 1e-3, freeze_bn: bool = False
) -> None:
    """min KL(q || p) over D_f, q = softmax of theta_o's logits, the true class at -inf (arXiv 2503.23751).

    epochs: 20 (public code, CIFAR-10, batches of 128). lr: 1e-3 (its script; its configuration file
    has 1e-4); searched in [1e-5, 1e-1]. freeze_bn: BatchNorm in eval mode while training, False (public
    code); its statistics drift towards D_f otherwise. The public code has -1e10 for -inf, and is written
    for whole classes; nothing in it needs one. Teacher: theta_o in eval mode, on the same augmented
    images. Momentum 0.9, no weight decay. Cost: epochs x (n_f backward, 2 n_f forward). D_r is never read.
    """
    teacher = copy.deepcopy(model).eval().requires_grad_(False)
    fit = Step(model, distil, lr, decay=0)
    model.train()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and freeze_bn:
            layer.eval()
    for x, y in task.forget.epochs(epochs):
        fit(x, without_true(teacher, x, y))
