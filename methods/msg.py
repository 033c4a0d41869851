"""MSG: masked small gradients, redraw what neither set pulls at; an entry of the NeurIPS 2023 competition."""

from itertools import islice

import torch
from torch import Tensor, nn

from mubench import Classifier, Mask, Step, Task, choice, cross_entropy_loss, log_uniform, method, saliency


def rise_and_fall(epochs: int) -> list[float]:
    """A factor for each epoch: in a straight line up to 1 at half time, then down towards 0."""
    top = (epochs + 1) // 2
    down = epochs + 1 - top
    return [e / top if e <= top else (epochs + 1 - e) / down for e in range(1, epochs + 1)]


@torch.no_grad()
def redraw(model: nn.Module, pull: Mask, share: float, slow: float, rng: torch.Generator) -> Mask:
    """Draw anew (He-normal) the `share` of each convolution's weights with the least |pull|.

    Returns the mask of what follows: `slow` for the other weights of convolutions, 1 for all else.
    """
    mask = {n: torch.ones_like(p) for n, p in model.named_parameters()}
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d):
            weight, key = layer.weight, f"{name}.weight"
            least = pull[key].abs().flatten().topk(round(share * weight.numel()), largest=False).indices
            chosen = torch.zeros(weight.numel(), dtype=torch.bool, device=weight.device)
            chosen[least] = True
            chosen = chosen.view(weight.shape)
            fresh = nn.init.kaiming_normal_(
                torch.empty_like(weight), mode="fan_out", nonlinearity="relu", generator=rng
            )
            weight.copy_(torch.where(chosen, fresh, weight))
            mask[key] = torch.where(chosen, mask[key], slow)
    return mask


@method(
    "MSG",
    sees=("forget", "retain"),
    cite="Triantafillou et al. 2024; Cadet et al. 2024",
    search={"epochs": choice(5, 10), "lr": log_uniform(1e-4, 1e-1), "rho": choice(0.1, 0.3, 0.5, 0.7, 0.9)},
)
def masked_small_gradients(
    model: Classifier, task: Task, *, epochs: int = 5, lr: float = 1e-3, rho: float = 0.3, slow: float = 0.1
) -> None:
    """Redraw the rho of each convolution with least |grad CE(D_r) - grad CE(D_f)|; then min CE over D_r.

    All defaults are the entry's, by its re-implementation in Deep Unlearn (KGLTop2, arXiv 2410.01276).
    epochs: 5, searched in 5 and 10; with 0 nothing is redrawn either. lr: 1e-3 (there in batches of
    64), rising by epoch to half time and falling after it; searched in [1e-4, 1e-1]. rho: 0.3; searched in
    0.1 to 0.9. slow: rate of the weights of convolutions that stay, 0.1. The gradients are sums over
    batches, of D_f and of as many of D_r, in eval mode (there: as many images, the mode as it comes). The
    mask holds for weight decay 5e-4 too; there for the gradient alone. Momentum 0.9, BatchNorm in train
    mode. A model without convolutions is fine-tuned only. Cost: about 2 n_f (n_f and as many batches of
    D_r) + epochs x n_r.
    """
    if not epochs:
        return
    retain = saliency(model, cross_entropy_loss, islice(task.retain, task.forget.batches))
    forget = saliency(model, cross_entropy_loss, task.forget)
    pull: dict[str, Tensor] = {n: retain[n] - forget[n] for n in forget}
    mask = redraw(model, pull, rho, slow, task.rng)
    factors, batches = rise_and_fall(epochs), task.retain.batches
    fit = Step(model, cross_entropy_loss, lr, mask=mask, schedule=lambda step: factors[step // batches])
    for x, y in task.retain.epochs(epochs):
        fit(x, y)
