"""IU: influence unlearning, one Newton-like step (Izzo et al., 2021; Jia et al., 2023)."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Literal

import torch
from torch import Tensor

from mubench import Classifier, ImageSet, Task, choice, cross_entropy_loss, log_uniform, method


def flat_gradient(model: Classifier, x: Tensor, y: Tensor) -> Tensor:
    """grad of the batch's mean CE, all parameters in one vector (P,)."""
    parts = torch.autograd.grad(cross_entropy_loss(model, x, y), list(model.parameters()))
    return torch.cat([p.flatten() for p in parts])


def mean_gradient(model: Classifier, images: ImageSet) -> Tensor:
    """grad of the mean CE over a whole set (P,), without augmentation."""
    sums = (len(y) * flat_gradient(model, x, y) for x, y in images.plain())
    total = sum(sums, start=torch.zeros(()))
    return total / max(len(images), 1)


def single_gradients(model: Classifier, images: ImageSet, count: int) -> Iterator[Tensor]:
    """The gradients (P,) of the first `count` images, one by one."""
    for x, y in islice(images.plain(batch_size=1), count):
        yield flat_gradient(model, x, y)


def published_recursion(v: Tensor, gradients: Iterable[Tensor], n: int) -> Tensor:
    """k and o as the public code updates them; o stays proportional to the first gradient g_1.

    o_1 = g_1, k_1 = v; for each further g with t = o.g: k -= (k.g) / (n + t) o; o -= t / (n + t) o.
    """
    rest = iter(gradients)
    o = next(rest)
    k = v.clone()
    for g in rest:
        t = o @ g
        k = k - (k @ g) / (n + t) * o
        o = o - t / (n + t) * o
    return k


def inverse_fisher(v: Tensor, gradients: Iterable[Tensor], damping: float) -> Tensor:
    """(damping I + 1/m sum g g^T)^-1 v exactly, by Woodbury's identity: an m x m solve.

    The product that Sherman and Morrison's recursion over the same m gradients arrives at.
    """
    G = torch.stack(list(gradients)).double()
    m = len(G)
    inner = torch.linalg.solve(
        m * damping * torch.eye(m, dtype=G.dtype, device=G.device) + G @ G.T, G @ v.double()
    )
    direction: Tensor = (v.double() - G.T @ inner) / damping
    return direction.to(v.dtype)


@method(
    "IU",
    sees=("forget", "retain"),
    cite="Izzo et al. 2021; Jia et al. 2023",
    search={"alpha": log_uniform(0.1, 100.0), "solver": choice("reference", "fisher")},
)
def influence(
    model: Classifier,
    task: Task,
    *,
    alpha: float = 10.0,
    solver: Literal["reference", "fisher"] = "reference",
    samples: int = 1002,
    damping: float = 1.0,
) -> None:
    """theta_u = theta_o + alpha F^-1 v, v = (n_f / n) (grad CE(D_f) - grad CE(D_r)), in eval mode.

    alpha: step, 10 (public script for 10 % of CIFAR-10; published range [1, 20]); searched in [0.1, 100].
    solver: "reference" is the published recursion, which keeps one vector and so only removes a
    component along the first retain gradient; "fisher" is the true product with the inverse of the
    damped empirical Fisher of `samples` retain images (memory: samples x P). samples: retain images
    taken one by one, 1,002 as published. damping: added to the Fisher's diagonal by "fisher".
    Cost: n_f + n_r + samples, one shot. Neither augmentation nor BatchNorm statistics are involved.
    """
    model.eval()
    n_f, n_r = len(task.forget), len(task.retain)
    v = n_f / (n_f + n_r) * (mean_gradient(model, task.forget) - mean_gradient(model, task.retain))
    singles = single_gradients(model, task.retain, samples)
    if solver == "reference":
        direction = published_recursion(v, singles, 1000)
    else:
        direction = inverse_fisher(v, singles, damping)
    start = 0
    with torch.no_grad():
        for p in model.parameters():
            p.add_(alpha * direction[start : start + p.numel()].view_as(p))
            start += p.numel()
