"""The one unit of training: a pure loss, an SGD state of its own, and the only home of the mask.

    G = M * (grad L(theta) + decay * theta);  v <- momentum * v + G;  theta <- theta - lr * v

Decay goes inside the mask: where M is 0 the velocity stays 0 and the weight stays bit-identical,
without restoring anything; a soft mask scales each weight's rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mubench.capture import Replayer, baked, state
from mubench.ledger import Ledger

if TYPE_CHECKING:
    from mubench.data.batches import ImageSet
    from mubench.suite import Recipe

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
        never masked. schedule: number of steps done so far -> factor on `lr`. Raises ValueError if
        the mask does not fit the parameters.
        """
        named = {n: p for n, p in model.named_parameters() if p.requires_grad}
        if mask is not None:
            for name, p in named.items():
                if name not in mask or mask[name].shape != p.shape:
                    raise ValueError(f"the mask has no entry of shape {tuple(p.shape)} for {name!r}")
        self._model, self._loss = model, loss
        self._lr, self._momentum, self._decay = lr, momentum, decay
        self._schedule = schedule
        self._parameters: list[Tensor] = list(named.values())
        self._mask = None if mask is None else [torch.empty_like(p).copy_(mask[n]) for n, p in named.items()]
        self._velocity = [torch.zeros_like(p) for p in self._parameters]
        self.done = 0
        self._replay: Replayer | None = None
        if self._parameters and self._parameters[0].is_cuda:
            # the rate lives on the device, so that a recorded step can read another one each time
            device = self._parameters[0].device
            self._rate = torch.zeros((), device=device)
            ledger = getattr(model, "ledger", None) or Ledger()
            self._replay = Replayer(
                lambda batch: self._update(batch, self._rate),
                ledger,
                lambda: (baked(loss, device), state(model)),
            )

    def __call__(self, *batch: Tensor) -> Tensor:
        """One update in train mode; returns the loss before it (detached, still on the device)."""
        if not self._model.training:
            self._model.train()
        lr = self._lr * (self._schedule(self.done) if self._schedule else 1.0)
        self.done += 1
        if self._replay is None:
            return self._update(batch, lr)
        self._rate.fill_(lr)
        # a number left on the CPU would be recorded as it is now
        return self._replay([t.to(self._rate.device) if isinstance(t, Tensor) else t for t in batch])

    def _update(self, batch: Sequence[Tensor], lr: float | Tensor) -> Tensor:
        loss = self._loss(self._model, *batch)
        gradients = torch.autograd.grad(loss, self._parameters, materialize_grads=True)
        with torch.no_grad():
            if self._decay:
                gradients = torch._foreach_add(gradients, self._parameters, alpha=self._decay)
            if self._mask is not None:
                gradients = torch._foreach_mul(gradients, self._mask)
            torch._foreach_mul_(self._velocity, self._momentum)
            torch._foreach_add_(self._velocity, gradients)
            if isinstance(lr, Tensor):
                torch._foreach_sub_(self._parameters, torch._foreach_mul(self._velocity, lr))
            else:
                torch._foreach_add_(self._parameters, self._velocity, alpha=-lr)
        return loss.detach()


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


def train(model: nn.Module, images: ImageSet, recipe: Recipe) -> None:
    """Train `model` in place by the recipe that Original and Retrain share."""
    fit = Step(
        model,
        cross_entropy_loss,
        recipe.lr,
        momentum=recipe.momentum,
        decay=recipe.decay,
        schedule=multistep(recipe.milestones, recipe.gamma, images.batches),
    )
    for x, y in images.epochs(recipe.epochs):
        fit(x, y)


@contextmanager
def _full_precision(model: nn.Module) -> Iterator[None]:
    """Without autocast, whatever the model was trained in: a threshold attack would see bf16's rounding."""
    casting = [
        (m, m.autocast) for m in model.modules() if isinstance(getattr(m, "autocast", None), torch.dtype)
    ]
    for module, _ in casting:
        module.autocast = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for module, kind in casting:
            module.autocast = kind


def predict(model: nn.Module, images: Tensor, batch_size: int = 1024) -> tuple[Tensor, Tensor | None]:
    """(logits (n, K), features (n, d) or None) in eval mode of uint8 images (n, C, H, W), on the CPU.

    In fp32, whatever the precision of training, and fewer images at once where memory is short.
    Features are those that `model.head` receives; a module without such a head has none. The model's
    weights, buffers and mode are left as they were.
    """
    was_training = model.training
    seen: list[Tensor] = []
    head = getattr(model, "head", None)
    hook = None
    if isinstance(head, nn.Module):
        hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].float().cpu()))
    model.eval()
    try:
        with torch.no_grad(), _full_precision(model):
            logits: list[Tensor] = []
            start = 0
            while start < len(images):
                known = len(seen)
                part = images[start : start + batch_size].float().div_(255)
                try:
                    logits.append(model(part).float().cpu())
                except torch.OutOfMemoryError:
                    if batch_size == 1:
                        raise
                    batch_size //= 2
                    del seen[known:]
                    continue
                start += len(part)
    finally:
        model.train(was_training)
        if hook is not None:
            hook.remove()
    return torch.cat(logits), torch.cat(seen) if len(seen) == len(logits) else None
