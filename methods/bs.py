"""BS: boundary shrink, each forget image is taught its nearest wrong class (Chen et al., 2023)."""

import copy

import torch
from torch import Tensor

from mubench import Classifier, Step, Task, cross_entropy_loss, log_uniform, method


def attack(teacher: Classifier, x: Tensor, y: Tensor, eps: float) -> Tensor:
    """FGSM in pixel space: x + eps sign(grad_x CE(f(x), y)), clipped to [0, 1], rounded to 1/255."""
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(cross_entropy_loss(teacher, x, y), x)
    return ((x.detach() + eps * slope.sign()).clamp(0, 1) * 255).round() / 255


def nearest_classes(teacher: Classifier, x: Tensor, y: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """(b,) the teacher's class of the attacked image, and (b,) its best one that is not the true class."""
    attacked = attack(teacher, x, y, eps)
    with torch.no_grad():
        logits = teacher(attacked)
    return logits.argmax(1), logits.scatter(1, y[:, None], float("-inf")).argmax(1)


@method("BS", sees="forget", cite="Chen et al. 2023", search={"lr": log_uniform(1e-6, 1e-1)})
def boundary_shrink(
    model: Classifier,
    task: Task,
    *,
    epochs: int = 10,
    lr: float = 1e-6,
    eps: float = 0.1,
    exclude_true: bool = True,
) -> None:
    """min CE(f(x), y') on D_f, y' = argmax of the frozen theta_o at x' = clip(x + eps sign(grad_x CE)).

    epochs: 10. lr: 1e-6 as BE (public scripts); searched up to 1e-1. eps: FGSM step in [0, 1] pixels, 0.1;
    normalisation lies inside the model, so the attack acts on pixels. exclude_true: the paper's "nearest
    but incorrect" class; the public code takes the plain argmax, which re-teaches the true class where
    the attack fails. Logged: the attack's success rate. Cost: epochs x (2 n_f backward, 3 n_f forward).
    """
    teacher = copy.deepcopy(model).eval().requires_grad_(False)
    shrink = Step(model, cross_entropy_loss, lr)
    fooled, total = torch.zeros((), dtype=torch.int64, device=task.device), 0
    for x, y in task.forget.epochs(epochs):
        attacked, wrong = nearest_classes(teacher, x, y, eps)
        fooled, total = fooled + (attacked != y).sum(), total + len(y)
        shrink(x, wrong if exclude_true else attacked)
    task.log(attack_success=float(fooled) / max(total, 1))
