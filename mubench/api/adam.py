"""AdamW in the manner of `Step`, where a method was published with it.

    G = M * grad L(theta);  m, v <- their means over steps of G, G^2, without the bias towards 0
    theta <- (1 - lr decay M) theta - lr m / (sqrt(v) + 1e-8)

(Loshchilov and Hutter, 2019.) M is 0 or 1: where it is 0, a weight stays bit-identical.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from mubench.api.row_mask import entries_over
from mubench.api.training import Mask, Schedule, check_mask


class AdamStep:
    """Calling it does one forward, backward and masked AdamW update on one batch.

    torch.optim is not used because its first optimiser imports the compiler, which takes seconds of the time
    that is measured.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[..., Tensor],
        lr: float,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        decay: float = 0.0,
        mask: Mask | None = None,
        schedule: Schedule | None = None,
    ) -> None:
        """Take all trainable parameters of `model`; `loss`, `mask` and `schedule` as in `Step`.

        decay: of the weights themselves, beside the gradient (AdamW). betas: of the means m and v. Raises
        ValueError if a mask does not fit the parameters, or, also one that a suite lays over the method, if
        it has entries between 0 and 1: Adam divides each gradient by its own size, and a factor with it.
        """
        named = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self._model, self._loss, self._lr, self._decay = model, loss, lr, decay
        self._betas, self._schedule = betas, schedule
        self._parameters: list[Tensor] = list(named.values())
        check_mask(mask, named)
        masks = [_hard(m) for m in (mask, entries_over(model)) if m]
        self._mask: list[Tensor] | None = None
        if masks:
            self._mask = [torch.ones_like(p, requires_grad=False) for p in self._parameters]
            for entry, name in zip(self._mask, named, strict=True):
                for given in masks:
                    if name in given:
                        entry.mul_(given[name].to(entry))
        self._mean = [torch.zeros_like(p) for p in self._parameters]
        self._square = [torch.zeros_like(p) for p in self._parameters]
        self.done = 0

    def __call__(self, *batch: Tensor) -> Tensor:
        """One update in train mode; returns the loss before it (detached, still on the device)."""
        if not self._model.training:
            self._model.train()
        lr = self._lr * (self._schedule(self.done) if self._schedule else 1.0)
        self.done += 1
        loss = self._loss(self._model, *batch)
        gradients = torch.autograd.grad(loss, self._parameters, materialize_grads=True)
        one, two = self._betas
        with torch.no_grad():
            if self._mask is not None:
                gradients = torch._foreach_mul(gradients, self._mask)
            if self._decay and self._mask is not None:
                torch._foreach_addcmul_(
                    self._parameters, self._mask, [p.clone() for p in self._parameters], -lr * self._decay
                )
            elif self._decay:
                torch._foreach_mul_(self._parameters, 1 - lr * self._decay)
            torch._foreach_lerp_(self._mean, gradients, 1 - one)
            torch._foreach_mul_(self._square, two)
            torch._foreach_addcmul_(self._square, gradients, gradients, 1 - two)
            size = torch._foreach_sqrt(self._square)
            torch._foreach_div_(size, math.sqrt(1 - two**self.done))
            torch._foreach_add_(size, 1e-8)
            torch._foreach_addcdiv_(self._parameters, self._mean, size, -lr / (1 - one**self.done))
        return loss.detach()


def _hard(mask: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The mask; ValueError, naming an entry, unless all are 0 or 1."""
    for name, entry in mask.items():
        between = entry[(entry != 0) & (entry != 1)]
        if len(between):
            raise ValueError(
                f"AdamStep takes a mask of zeros and ones, and {name!r} holds {float(between[0]):.3g}: Adam "
                "divides each gradient by its own size, so a soft mask would do nothing. Use Step, or a hard "
                "mask such as mubench.largest"
            )
    return mask
