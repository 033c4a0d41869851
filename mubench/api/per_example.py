"""Gradients of each image alone, many images at once: for Fisher matrices, influence and clipping."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from mubench.api.classifier import Classifier
from mubench.api.cost import Ledger
from mubench.api.masks import Gradients

# Per-example gradients that are held at once, in numbers.
HELD = 1 << 26


def per_example_gradients(model: nn.Module, loss: Callable[..., Tensor], *batch: Tensor) -> Gradients:
    """The gradient of `loss` on each image of a batch by itself, at fixed weights in eval mode.

    batch: tensors of b entries, as `Step` takes them; `loss(model, *images)` is called on one image, with a
    batch dimension of 1. Returns parameter name -> (b, *its shape), which takes b times the memory of the
    model. Neither weights nor BatchNorm statistics change, and b passes forward and backward are counted.

    In train mode BatchNorm would mix the images, so that no image had a gradient of its own.
    """
    given = _Given(model, loss)
    weights = {n: p.detach() for n, p in given.named_parameters() if p.requires_grad}

    def of_one(weights: Gradients, *image: Tensor) -> Tensor:
        value: Tensor = functional_call(given, weights, tuple(t.unsqueeze(0) for t in image))
        return value

    with _batchable(model, len(batch[0])):
        found: Gradients = vmap(grad(of_one), in_dims=(None, *[0] * len(batch)))(weights, *batch)
    return {name.removeprefix("model."): g.detach() for name, g in found.items()}


def fisher_diagonal(
    model: nn.Module, loss: Callable[..., Tensor], batches: Iterable[tuple[Tensor, ...]]
) -> Gradients:
    """Mean over images of the squared gradient of each image's loss, at fixed weights in eval mode.

    With cross-entropy it is the diagonal of the empirical Fisher matrix, whatever the size of the batches
    (unlike `squared_gradients`, where gradients of a batch cancel). Returns parameter name -> tensor of its
    shape, no entry below 0; zeros if there are no batches.
    """
    total = {n: torch.zeros_like(p) for n, p in model.named_parameters() if p.requires_grad}
    rows = max(1, HELD // max(1, sum(t.numel() for t in total.values())))
    count = 0
    for batch in batches:
        for part in zip(*(torch.split(t, rows) for t in batch), strict=True):
            count += len(part[0])
            for name, g in per_example_gradients(model, loss, *part).items():
                total[name] += g.square_().sum(0)
    return {name: t / max(1, count) for name, t in total.items()}


class _Given(nn.Module):
    """A loss as a module that holds the model: its weights can be replaced, whatever the loss calls of it."""

    def __init__(self, model: nn.Module, loss: Callable[..., Tensor]) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, *image: Tensor) -> Tensor:
        return self.loss(self.model, *image)


@contextmanager
def _batchable(model: nn.Module, images: int) -> Iterator[None]:
    """Eval mode, no memory layout, which torch cannot batch over, and passes counted here instead."""
    inside = [m for m in model.modules() if isinstance(m, Classifier)]
    before = [(m.ledger, m.channels_last) for m in inside]
    training = model.training
    model.eval()
    for m in inside:
        m.ledger, m.channels_last = Ledger(), False
    try:
        yield
    finally:
        model.train(training)
        for m, (ledger, channels_last) in zip(inside, before, strict=True):
            m.ledger, m.channels_last = ledger, channels_last
            ledger.forward += images
            ledger.backward += images
