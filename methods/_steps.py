"""What methods share that combine gradients or follow Adam: one update each, in the manner of `Step`."""

import math
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


class AdamStep:
    """One update of AdamW a call (Loshchilov and Hutter, 2019), where a method was published with it.

        theta <- (1 - lr decay) theta - lr m / (sqrt(v) + 1e-8), m and v without their bias towards 0

    Betas 0.9 and 0.999. No mask: Adam undoes a soft one. torch.optim is not used because its first
    optimiser imports the compiler, which takes seconds of the time that is measured.
    """

    def __init__(self, model: nn.Module, loss: Callable[..., Tensor], lr: float, *, decay: float) -> None:
        """`loss` as in `Step`; all parameters of `model` are taken."""
        self._model, self._loss, self._lr, self._decay = model, loss, lr, decay
        self._parameters: list[Tensor] = list(model.parameters())
        self._mean = [torch.zeros_like(p) for p in self._parameters]
        self._square = [torch.zeros_like(p) for p in self._parameters]
        self.done = 0

    def __call__(self, *batch: Tensor) -> Tensor:
        """One update in train mode; returns the loss before it (detached)."""
        self.done += 1
        loss, gradients = valued_gradient(self._model, self._loss, *batch)
        with torch.no_grad():
            torch._foreach_mul_(self._parameters, 1 - self._lr * self._decay)
            torch._foreach_lerp_(self._mean, gradients, 0.1)
            torch._foreach_mul_(self._square, 0.999)
            torch._foreach_addcmul_(self._square, gradients, gradients, 0.001)
            size = torch._foreach_sqrt(self._square)
            torch._foreach_div_(size, math.sqrt(1 - 0.999**self.done))
            torch._foreach_add_(size, 1e-8)
            torch._foreach_addcdiv_(self._parameters, self._mean, size, -self._lr / (1 - 0.9**self.done))
        return loss
