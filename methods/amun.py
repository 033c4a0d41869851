"""AMUN: fine-tuning on nearest adversarial examples of D_f (Ebrahimpour-Boroojeny et al., 2025)."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mubench import Classifier, Step, Task, choice, cross_entropy_loss, log_uniform, method


def ball_step(z: Tensor, x: Tensor, slope: Tensor, radius: float) -> Tensor:
    """One step of radius / 10 along the slope (b, C, H, W), back into the L2 ball around x, then [0, 1]."""
    length = slope.flatten(1).norm(dim=1).view(-1, 1, 1, 1) + 1e-10
    delta = z + radius / 10 * slope / length - x
    shrink = (radius / delta.flatten(1).norm(dim=1)).clamp(max=1).view(-1, 1, 1, 1)
    moved: Tensor = (x + shrink * delta).clamp(0, 1)
    return moved


def nearest_wrong(model: Classifier, x: Tensor, y: Tensor, eps: float, steps: int) -> tuple[Tensor, Tensor]:
    """(b, C, H, W) images that the model puts into another class than y, and (b,) that class.

    PGD in L2 from the image on; `steps` steps in a ball of radius eps, and again in one twice as large as
    long as the class is still y, until the ball holds every image. Where that fails too, the class is y.
    """
    found, classes, radius = x.clone(), y.clone(), eps
    left = torch.arange(len(y), device=y.device)
    while radius < 2 * x[0].numel() ** 0.5:
        for _ in range(steps):
            z = found[left].requires_grad_()
            logits = model(z)
            classes[left] = logits.argmax(1)
            kept = classes[left] == y[left]
            if not bool(kept.any()):
                return found, classes
            (slope,) = torch.autograd.grad(cross_entropy(logits[kept], y[left][kept], reduction="sum"), z)
            left = left[kept]
            found[left] = ball_step(z.detach()[kept], x[left], slope[kept], radius)
        radius *= 2
    return found, classes


@method(
    "AMUN",
    sees=("forget", "retain"),
    cite="Ebrahimpour-Boroojeny et al. 2025",
    search={"lr": log_uniform(1e-6, 1e-1), "lr_step": choice(1, 5, 10)},
)
def amun(
    model: Classifier,
    task: Task,
    *,
    epochs: int = 10,
    lr: float = 0.01,
    lr_step: int = 1,
    eps: float = 0.04,
    steps: int = 50,
) -> None:
    """min CE over D_r, D_f and D_A, which holds for each x of D_f the nearest x' of another class y'.

    epochs: 10. lr: 0.01, times 0.1 every lr_step = 1 epochs (README); searched in [1e-6, 1e-1] and 1, 5, 10,
    as published. eps: first radius of the attack in [0, 1] pixels, 0.04, and steps: of radius / 10, 50
    (public code). D_f keeps its true labels, as published, so that a whole class is not forgotten.
    Momentum 0.9, weight decay 5e-4, BatchNorm in train mode; the attack is made on theta_o in eval mode.
    x' is neither augmented nor rounded to 1/255, which would undo it. Each batch of D_r and D_f gets its
    share of D_A, where the public code shuffles all three; an image that withstands is left out, where
    the public code loops for ever. Logged: the share found, their mean L2 distance.
    Cost: the attack, 1 x n_f for each of its steps that an image needs, + epochs x (n_r + 2 n_f).
    """
    model.eval()
    near, labels, distances = [torch.empty(0, device=task.device)], [task.forget.labels[:0]], [0.0]
    for x, y in task.forget.plain():
        attacked, wrong = nearest_wrong(model, x, y, eps, steps)
        near.append(attacked[wrong != y])
        labels.append(wrong[wrong != y])
        distances += (attacked - x)[wrong != y].flatten(1).norm(dim=1).tolist()
    x_a, y_a = torch.cat(near), torch.cat(labels)
    count = max(len(y_a), 1)
    task.log(attack_success=len(y_a) / max(len(task.forget), 1), attack_distance=sum(distances) / count)
    data = task.forget.joined(task.retain)
    fit = Step(model, cross_entropy_loss, lr, schedule=lambda i: 0.1 ** (i // (lr_step * data.batches)))
    for _ in range(epochs):
        shares = torch.randperm(len(y_a), generator=task.rng, device=task.device).tensor_split(data.batches)
        for (x, y), rows in zip(data, shares, strict=True):
            fit(torch.cat([x, x_a[rows]]), torch.cat([y, y_a[rows]]))
