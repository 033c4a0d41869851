"""How much each weight matters to a set: squared gradients, the diagonal of an empirical Fisher matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import Tensor, nn

from mubench.api.masks import Gradients, saliency


def squared_gradients(
    model: nn.Module, loss: Callable[..., Tensor], batches: Iterable[tuple[Tensor, ...]]
) -> Gradients:
    """Mean over batches of the squared gradient of the batch's mean loss, at fixed weights in eval mode.

    Returns parameter name -> tensor of its shape, no entry below 0; zeros if there are no batches.
    Neither weights nor BatchNorm statistics change. With one image a batch and cross-entropy it is the
    diagonal of the empirical Fisher; in larger batches, which public unlearning code uses, gradients
    of different images cancel, so that the values shrink as the batches grow.
    """
    total, count = saliency(model, loss, ()), 0
    for batch in batches:
        count += 1
        for name, gradient in saliency(model, loss, [batch]).items():
            total[name].addcmul_(gradient, gradient)
    return {name: t / max(1, count) for name, t in total.items()}
