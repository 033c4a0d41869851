"""Scissorhands: re-initialise what D_f depends on, then repair by projection (Wu and Harandi, 2024)."""

from collections.abc import Sequence
from itertools import chain, islice, repeat

import torch
from torch import Tensor, nn

from mubench import (
    Classifier,
    Mask,
    Step,
    Task,
    choice,
    cross_entropy_loss,
    largest,
    log_uniform,
    method,
    saliency,
)

from ._steps import along, gradient, inner, negative_cross_entropy


def late_mask(model: nn.Module, early: float) -> dict[str, Tensor]:
    """1 for the tensors before which lies a share `early` of all parameters or more, else 0."""
    before, mask, total = 0, {}, sum(p.numel() for p in model.parameters())
    for name, p in model.named_parameters():
        mask[name] = torch.full_like(p, float(before >= early * total))
        before += p.numel()
    return mask


def reinitialise(model: nn.Module, chosen: Mask, rng: torch.Generator) -> None:
    """Chosen weights of convolutions and linear layers uniform in +-1 / sqrt(fan in), chosen biases 0."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = module.weight[0].numel() ** -0.5
            fresh = torch.empty_like(module.weight).uniform_(-bound, bound, generator=rng)
            with torch.no_grad():
                module.weight.copy_(torch.where(chosen[f"{name}.weight"] > 0, fresh, module.weight))
                if module.bias is not None:
                    module.bias.masked_fill_(chosen[f"{name}.bias"] > 0, 0)


def projected(g: Sequence[Tensor], anchor: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """g if <g, a> >= 0, else g + v a, v = max(1/2, -<g, a> / (<a, a> + 1e-3)): GEM's dual, one constraint."""
    conflict = inner(g, anchor)
    v = torch.where(conflict < 0, (-conflict / (inner(anchor, anchor) + 1e-3)).clamp(min=0.5), 0.0)
    return tuple(p + v * a for p, a in zip(g, anchor, strict=True))


@method(
    "Scissorhands",
    sees=("forget", "retain"),
    cite="Wu and Harandi 2024",
    search={"lr": log_uniform(1e-4, 1e-1), "share": choice(0.01, 0.03, 0.1), "lam": log_uniform(0.01, 1.0)},
)
def scissorhands(
    model: Classifier,
    task: Task,
    *,
    epochs: int = 10,
    lr: float = 5e-3,
    share: float = 0.01,
    lam: float = 0.05,
    early: float = 0.06,
) -> None:
    """Weights of largest |theta grad CE(D_f)| anew, then min CE(D_r) - lam CE(D_f) along g, <g, a> >= 0.

    a is the gradient of -CE of a forget batch at an epoch's start: no step undoes forgetting.
    epochs: 10, lr: 5e-3, share re-initialised: 0.01, lam: 0.05 (scripts for 10 % of CIFAR-10; 0.03 in the
    README; other settings 1e-3 to 5e-3, 0.01 to 0.1, 0.01 to 1); lr is searched in [1e-4, 1e-1], share and
    lam over the published values. early: what lies nearer the input than 6 % of the weights stays and is
    not projected: on ResNet-18 the public code's restriction to layer3, layer4 and the head, up to one
    BatchNorm. Saliency (in train mode there) and a each come from one batch, in eval mode. Momentum 0.9,
    weight decay 5e-4, BatchNorm in train mode. `projected` is the quadratic programme of the public code.
    Cost: b + epochs x (b + n_f + n_r), b the forget batch; of n_f no more batches than n_r has.
    """
    late = late_mask(model, early)
    follow = Step(model, along, lr)
    for epoch in range(epochs if len(task.forget) else 0):
        if epoch == 0:
            slope = saliency(model, cross_entropy_loss, islice(task.forget, 1))
            weight = {n: slope[n] * p.detach() for n, p in model.named_parameters()}
            chosen = largest(weight, share)
            reinitialise(model, {n: chosen[n] * late[n] for n in chosen}, task.rng)
        forgetting = saliency(model, negative_cross_entropy, islice(task.forget, 1))
        anchor = [forgetting[n] * late[n] for n in late]
        for (x, y), batch in zip(task.retain, chain(task.forget, repeat(None)), strict=False):
            g = gradient(model, cross_entropy_loss, x, y)
            if batch is not None:
                g_f = gradient(model, negative_cross_entropy, *batch)
                g = projected([a + lam * b for a, b in zip(g, g_f, strict=True)], anchor)
            follow(*g)
