"""FF: Fisher forgetting, noise where the retain set does not need a weight (Golatkar et al., 2020)."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mubench import Classifier, ImageSet, Task, log_uniform, method, squared_gradients


def weighted_surprise(model: Classifier, x: Tensor, k: Tensor) -> Tensor:
    """Mean CE of the batch as class k, times the root of that class's mean probability (a constant)."""
    z = model(x)
    return cross_entropy(z, k) * z.detach().softmax(1)[:, k[0]].mean().sqrt()


def label_fisher(model: Classifier, images: ImageSet, classes: int, batch: int) -> dict[str, Tensor]:
    """F = mean over batches of sum_k mean(p_k) (grad mean CE(f(x), k))^2, by parameter."""
    every = ((x, torch.full_like(y, k)) for x, y in images.plain(batch) for k in range(classes))
    return {n: classes * f for n, f in squared_gradients(model, weighted_surprise, every).items()}


def variance(fisher: Tensor, alpha: float, head: bool) -> Tensor:
    """alpha / (F + 1e-8), at most alpha 1e3 (head: 1e2), mean over inputs; 10-fold for head and vectors."""
    var = alpha * (1 / (fisher + 1e-8)).clamp(max=1e2 if head else 1e3)
    if var.ndim > 1:
        var = var.mean(1, keepdim=True).expand_as(fisher)
    return 10 * var if head or var.ndim == 1 else var


@method("FF", sees="retain", cite="Golatkar et al. 2020", search={"alpha": log_uniform(1e-9, 1e-5)})
def fisher_forgetting(
    model: Classifier, task: Task, *, alpha: float = 1e-7, batch: int = 32, clear_class: bool = True
) -> None:
    """theta_u = theta_o + n, n ~ N(0, alpha / F), F the diagonal Fisher of D_r over all K labels.

    alpha: 1e-7 (DELETE's script for this code on CIFAR-10; the Sparse code's authors advise about 1e-9,
    SSD's port takes 1e-6, the 0.2 of the code destroys the model); searched in [1e-9, 1e-5]. batch:
    images whose mean gradient is squared, 32 (SalUn's port); 1 is the Fisher of the paper. clear_class: a
    class that D_r lacks starts from a head row of 0 with variance 1e-3, as the public code has it. That
    code goes by the number of forgotten images, so that 10 % of CIFAR-10 cost a class too; here only an
    absent class counts.
    The paper's theory scales the noise by F^(-1/4); this is the code's F^(-1/2), with its limits.
    Eval mode; neither augmentation nor BatchNorm statistics are involved. Cost: K x n_r, one shot.
    """
    fisher = label_fisher(model, task.retain, task.num_classes, batch)
    absent = torch.bincount(task.retain.labels, minlength=task.num_classes) == 0
    with torch.no_grad():
        for name, p in model.named_parameters():
            head = name.startswith("head.")
            var = variance(fisher[name], alpha, head)
            if head and clear_class:
                gone = absent.view(-1, *[1] * (p.ndim - 1))
                var = torch.where(gone, 1e-3, var)
                p.masked_fill_(gone, 0)
            p.add_(var.sqrt() * torch.randn(p.shape, generator=task.rng, device=p.device))
