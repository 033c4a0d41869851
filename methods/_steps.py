"""What methods share that combine gradients or follow Adam: one update each, in the manner of `Step`."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from mubench import cross_entropy_loss


def negative_cross_entropy(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """-CE, mean over the batch: its descent is gradient ascent."""
    return -cross_entropy_loss(model, x, y)


def valued_gradient(
    model: nn.Module, loss: Callable[..., Tensor], *batch: Tensor
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """`loss(model, *batch)` and its gradient by parameter, in train mode; nothing is updated."""
    model.train()
    value = loss(model, *batch)
    return value.detach(), torch.autograd.grad(value, list(model.parameters()), materialize_grads=True)


def gradient(model: nn.Module, loss: Callable[..., Tensor], *batch: Tensor) -> tuple[Tensor, ...]:
    """The gradient of `loss(model, *batch)` by parameter, in train mode; nothing is updated."""
    return valued_gradient(model, loss, *batch)[1]


def inner(one: Sequence[Tensor], two: Sequence[Tensor]) -> Tensor:
    """The inner product of two gradients."""
    return torch.stack([(a * b).sum() for a, b in zip(one, two, strict=True)]).sum()


def along(model: nn.Module, *direction: Tensor) -> Tensor:
    """sum <theta, d>, whose gradient is d itself: `Step(model, along, lr)(*d)` descends along d."""
    parts = [(p * d).sum() for p, d in zip(model.parameters(), direction, strict=True)]
    return torch.stack(parts).sum()


class AdamStep:
    """One update of AdamW (Loshchilov and Hutter, 2019) a call, where a method was published with it.

    Betas 0.9 and 0.999, epsilon 1e-8, decay decoupled from the gradient. No mask: Adam undoes a soft one.
    """

    def __init__(self, model: nn.Module, loss: Callable[..., Tensor], lr: float, *, decay: float) -> None:
        """`loss` as in `Step`; all parameters of `model` are taken."""
        self._model, self._loss = model, loss
        self._adam = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=decay)

    def __call__(self, *batch: Tensor) -> Tensor:
        """One update in train mode; returns the loss before it (detached)."""
        self._model.train()
        loss = self._loss(self._model, *batch)
        parameters = list(self._model.parameters())
        found = torch.autograd.grad(loss, parameters, materialize_grads=True)
        for p, g in zip(parameters, found, strict=True):
            p.grad = g
        self._adam.step()
        self._adam.zero_grad()
        return loss.detach()
