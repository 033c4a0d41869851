"""Weight-saliency masks: which weights matter for the forget set, hard or soft.

Saliency is the accumulated gradient of a loss on the forget set at the original weights; a mask has
an entry for every trainable parameter (never for buffers) and is applied inside `Step`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn

Gradients = dict[str, Tensor]


def saliency(
    model: nn.Module, loss: Callable[..., Tensor], batches: Iterable[tuple[Tensor, ...]]
) -> Gradients:
    """Signed sum over batches of the gradient of the batch's mean loss, at fixed weights in eval mode.

    Returns parameter name -> tensor of its shape. Neither weights nor BatchNorm statistics change.
    Source: Fan et al. (2024), SalUn, eq. 3; the absolute value is taken by the masks, after the sum.
    """
    named = {n: p for n, p in model.named_parameters() if p.requires_grad}
    total = [torch.zeros_like(p) for p in named.values()]
    was_training = model.training
    model.eval()
    try:
        for batch in batches:
            value = loss(model, *batch)
            torch._foreach_add_(
                total, torch.autograd.grad(value, list(named.values()), materialize_grads=True)
            )
    finally:
        model.train(was_training)
    return dict(zip(named, total, strict=True))


def _flat(gradients: Gradients) -> Tensor:
    return torch.cat([g.abs().flatten() for g in gradients.values()])


def _shaped(flat: Tensor, like: Gradients) -> Gradients:
    parts = torch.split(flat, [g.numel() for g in like.values()])
    return {n: part.view_as(g) for (n, g), part in zip(like.items(), parts, strict=True)}


def largest(gradients: Gradients, share: float) -> Gradients:
    """1 for exactly floor(share * P) entries of largest |g| over all parameters, else 0.

    Ties at the edge go to the earlier entries. One selection instead of a full ranking.
    Raises ValueError if `share` is outside [0, 1] or a gradient is not finite.
    Source: Fan et al. (2024), eq. 3-4 with the threshold given as a share.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"the share of weights must lie in [0, 1], got {share}")
    size = _flat(gradients)
    if not bool(torch.isfinite(size).all()):
        raise ValueError("the saliency holds NaN or infinite entries")
    keep = math.floor(share * size.numel())
    if keep == 0:
        return _shaped(torch.zeros_like(size), gradients)
    edge = torch.kthvalue(size, size.numel() - keep + 1).values
    mask = (size > edge).to(size.dtype)
    tied = torch.nonzero(size == edge).flatten()
    mask[tied[: keep - int(mask.sum(dtype=torch.int64))]] = 1
    return _shaped(mask, gradients)


def soft(
    gradients: Gradients,
    *,
    kappa: float = math.log(3),
    scale: Literal["median", "rms", "mean", "max", "none"] = "median",
) -> Gradients:
    """M = |2 sigmoid(kappa g / m) - 1| = tanh(kappa |g| / (2 m)), in [0, 1).

    m is the median (or another scale) of |g| over all entries, so that the mask does not depend on
    the gradients' units; the median over the nonzero entries if more than half are zero. With the
    default kappa = ln 3 the median entry gets 0.5. scale="none" with kappa=1 is the published form
    (Tran and Le, 2025, eq. 4). Raises ValueError if all gradients are zero or one is not finite.
    """
    size = _flat(gradients)
    if not bool(torch.isfinite(size).all()):
        raise ValueError("the saliency holds NaN or infinite entries")
    if not bool(size.any()):
        raise ValueError("the saliency is zero everywhere: a soft mask would freeze every weight")
    match scale:
        case "median":
            m = _median(size) or _median(size[size > 0])
        case "rms":
            m = float(size.double().square().mean().sqrt())
        case "mean":
            m = float(size.double().mean())
        case "max":
            m = float(size.max())
        case "none":
            m = 1.0
    below_one = 1 - torch.finfo(size.dtype).eps / 2
    return _shaped(torch.tanh(kappa * size / (2 * m)).clamp_(max=below_one), gradients)


def _median(values: Tensor) -> float:
    return float(torch.kthvalue(values, (values.numel() + 1) // 2).values)


def describe(mask: Gradients) -> dict[str, Any]:
    """Mean, quantiles and the share below 1e-3 of all entries of a mask."""
    flat = _flat(mask)
    ordered = torch.sort(flat).values
    last = len(ordered) - 1
    return {
        "mean": float(flat.double().mean()),
        "below_1e-3": float((flat < 1e-3).double().mean()),
        "quantiles": {str(q): float(ordered[round(q / 100 * last)]) for q in (1, 25, 50, 75, 99)},
    }
