"""What methods share that combine gradients."""

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


def clipped(gradients: Sequence[Tensor], max_norm: float) -> tuple[Tensor, ...]:
    """The gradients, scaled down where their common norm exceeds `max_norm`."""
    norm = torch.stack([g.norm() for g in gradients]).norm()
    return tuple(g * (max_norm / (norm + 1e-6)).clamp(max=1) for g in gradients)


def along(model: nn.Module, *direction: Tensor) -> Tensor:
    """sum <theta, d>, whose gradient is d itself: `Step(model, along, lr)(*d)` descends along d."""
    parts = [(p * d).sum() for p, d in zip(model.parameters(), direction, strict=True)]
    return torch.stack(parts).sum()
