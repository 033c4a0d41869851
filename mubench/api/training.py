"""The one unit of training: a pure loss, an SGD state of its own, and the only home of the mask.

    G = M * (grad L(theta) + decay * theta);  v <- momentum * v + G;  theta <- theta - lr * v

Decay goes inside the mask: where M is 0 the velocity stays 0 and the weight stays bit-identical,
without restoring anything; a soft mask scales each weight's rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mubench.api.row_mask import entries_over

if TYPE_CHECKING:
    from mubench.api.images import ImageSet
    from mubench.api.recipe import Recipe

Schedule = Callable[[int], float]
Mask = Mapping[str, Tensor]


class Loss(Protocol):
    """A pure loss: the model and a batch's tensors to a scalar; nothing random, no teacher."""

    def __call__(self, model: nn.Module, *batch: Tensor) -> Tensor: ...


class Step:
    """Calling it does one forward, backward and masked SGD update on one batch."""

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[..., Tensor],
        lr: float,
        *,
        momentum: float = 0.9,
        decay: float = 5e-4,
        mask: Mask | None = None,
        schedule: Schedule | None = None,
    ) -> None:
        """Take all trainable parameters of `model`.

        mask: parameter name -> tensor of its shape in [0, 1]; buffers (BatchNorm's statistics) are
        never masked. A mask that a suite lays over the method multiplies it. schedule: number of steps
        done so far -> factor on `lr`. Raises ValueError if a mask does not fit the parameters.
        """
        named = {n: p for n, p in model.named_parameters() if p.requires_grad}
        check_mask(mask, named)
        self._model, self._loss = model, loss
        self._lr, self._momentum, self._decay = lr, momentum, decay
        self._schedule = schedule
        self._parameters: list[Tensor] = list(named.values())
        row = entries_over(model)
        self._mask: list[Tensor] | None = None
        if mask is not None or row:
            masks = [m for m in (mask, row or None) if m is not None]
            self._mask = [_product([m[n] for m in masks if n in m], p) for n, p in named.items()]
        self._velocity = [torch.zeros_like(p) for p in self._parameters]
        self.done = 0

    def __call__(self, *batch: Tensor) -> Tensor:
        """One update in train mode; returns the loss before it (detached, still on the device)."""
        if not self._model.training:
            self._model.train()
        lr = self._lr * (self._schedule(self.done) if self._schedule else 1.0)
        self.done += 1
        loss = self._loss(self._model, *batch)
        gradients = torch.autograd.grad(loss, self._parameters, materialize_grads=True)
        with torch.no_grad():
            if self._decay:
                gradients = torch._foreach_add(gradients, self._parameters, alpha=self._decay)
            if self._mask is not None:
                gradients = torch._foreach_mul(gradients, self._mask)
            torch._foreach_mul_(self._velocity, self._momentum)
            torch._foreach_add_(self._velocity, gradients)
            torch._foreach_add_(self._parameters, self._velocity, alpha=-lr)
        return loss.detach()


def check_mask(mask: Mask | None, named: Mapping[str, Tensor]) -> None:
    """ValueError, naming the first parameter without one, unless a mask has an entry of the shape of each."""
    if mask is None:
        return
    for name, p in named.items():
        if name not in mask or mask[name].shape != p.shape:
            raise ValueError(f"the mask has no entry of shape {tuple(p.shape)} for {name!r}")


def _product(masks: Sequence[Tensor], parameter: Tensor) -> Tensor:
    """The masks of a parameter multiplied, like it; ones where there is none."""
    product = torch.ones_like(parameter, requires_grad=False)
    for mask in masks:
        product.mul_(mask.to(product))
    return product


def cross_entropy_loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy of a batch."""
    return cross_entropy(model(x), y)


def multistep(milestones: list[int], gamma: float, steps_per_epoch: int) -> Schedule:
    """The factor gamma^(milestones passed); milestones in epochs."""
    edges = [m * steps_per_epoch for m in milestones]
    return lambda step: gamma ** sum(step >= e for e in edges)


def cosine(total: int, floor: float = 0.0) -> Schedule:
    """From 1 down to `floor` over `total` steps, along a half cosine; `floor` afterwards."""
    return lambda step: floor + (1 - floor) * (1 + math.cos(math.pi * min(step, total) / total)) / 2


def schedule_of(recipe: Recipe, steps_per_epoch: int) -> Schedule:
    """The recipe's schedule, in steps: milestones or a half cosine, after a rise in a straight line."""
    rise = recipe.warmup * steps_per_epoch
    if recipe.schedule == "cosine":
        fall = cosine(recipe.epochs * steps_per_epoch - rise)
        return lambda step: (step + 1) / rise if step < rise else fall(step - rise)
    steps = multistep(recipe.milestones, recipe.gamma, steps_per_epoch)
    return lambda step: steps(step) * ((step + 1) / rise if step < rise else 1.0)


def train(model: nn.Module, images: ImageSet, recipe: Recipe) -> None:
    """Train `model` in place by the recipe that Original and Retrain share."""
    fit = Step(
        model,
        cross_entropy_loss,
        recipe.lr,
        momentum=recipe.momentum,
        decay=recipe.decay,
        schedule=schedule_of(recipe, images.batches),
    )
    for x, y in images.epochs(recipe.epochs):
        fit(x, y)
