"""UNSIR: impair with error-maximising noise in a class's place, then repair (Tarun et al., 2023)."""

import math
from itertools import islice

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mubench import Classifier, Step, Task, choice, cross_entropy_loss, log_uniform, method


def worsened(model: Classifier, z: Tensor, y: Tensor, steps: int, penalty: float) -> Tensor:
    """Images mean + std z (b, C, H, W) after `steps` of Adam at 0.1, min -CE(f, y) + penalty ||z||^2 over z.

    Adam is written out: torch.optim imports the compiler at first use, more than a second that would count.
    """
    first, second = torch.zeros_like(z), torch.zeros_like(z)
    for t in range(1, steps + 1):
        z = z.detach().requires_grad_()
        size = z.square().sum((1, 2, 3)).mean()
        loss = penalty * size - cross_entropy(model(z * model.std + model.mean), y)
        (slope,) = torch.autograd.grad(loss, z)
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope.square()
        z = z - 0.1 * first / (1 - 0.9**t) / ((second / (1 - 0.999**t)).sqrt() + 1e-8)
    return (z * model.std + model.mean).detach()


@method(
    "UNSIR",
    sees=("forget", "retain"),
    cite="Tarun et al. 2023",
    scenarios=["class"],
    search={
        "epochs_impair": choice(1, 10, 30),
        "epochs_repair": choice(1, 5, 20),
        "lr_impair": log_uniform(1e-3, 0.5),
        "lr_repair": log_uniform(1e-3, 1e-1),
    },
)
def unsir(
    model: Classifier,
    task: Task,
    *,
    epochs_impair: int = 1,
    epochs_repair: int = 1,
    lr_impair: float = 0.02,
    lr_repair: float = 0.01,
    retain_share: float = 0.2,
    noise: int = 32,
    noise_steps: int = 25,
    noise_ratio: float = 0.64,
    penalty: float = 0.1,
) -> None:
    """x' = argmin -CE(f(x'), c) + penalty ||x'||^2; impair: min CE of D_r and (x', c); repair: of D_r.

    Forgets whole classes c; noise stands for each, and no image of D_f is read. epochs_impair,
    epochs_repair: 1, 1. lr_impair, lr_repair: 0.02, 0.01 (authors' notebook, where they are Adam's; here
    SGD with momentum 0.9, no weight decay); searched up to 0.5 and 0.1; epochs up to 30 and 20, for an
    epoch of few batches. retain_share: D_r's share in an epoch, 0.2 (notebook: 1,000 of 5,000 images a
    class, the same for both phases; here drawn anew), rounded up to whole batches. noise, noise_steps: 32
    images a class and 25 steps (the SSD benchmark; notebook: 256 and 40), from N(0, 1) in the normalised
    space, unclipped. penalty: 0.1 (both, as Adam's rate). noise_ratio: noise images for each of D_r in a
    batch, 0.64 (notebook: 5,120 to 8,000 with one class; it labels all noise as class 0). theta_o is in
    eval mode for the noise (public code: as it was left), in train mode later. Cost: classes x noise x
    noise_steps + retain_share x n_r x (epochs_impair x (1 + noise_ratio) + epochs_repair).
    """
    model.eval()
    y = torch.unique(task.forget.labels).repeat_interleave(noise)
    ((image, _),) = islice(task.retain.plain(batch_size=1), 1)
    z = torch.randn(len(y), *image.shape[1:], generator=task.rng, device=task.device)
    batches = zip(torch.split(z, noise), torch.split(y, noise), strict=True)
    x = torch.cat([worsened(model, zs, ys, noise_steps, penalty) for zs, ys in batches])
    some = math.ceil(retain_share * task.retain.batches)

    impair = Step(model, cross_entropy_loss, lr_impair, decay=0)
    for _ in range(epochs_impair):
        for x_r, y_r in islice(task.retain, some):
            count = round(noise_ratio * len(y_r))
            rows = torch.randint(len(y), (count,), generator=task.rng, device=task.device)
            impair(torch.cat([x_r, x[rows]]), torch.cat([y_r, y[rows]]))
    repair = Step(model, cross_entropy_loss, lr_repair, decay=0)
    for _ in range(epochs_repair):
        for x_r, y_r in islice(task.retain, some):
            repair(x_r, y_r)
