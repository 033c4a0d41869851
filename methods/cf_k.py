"""CF-k: catastrophic forgetting, only the last k layers are fine-tuned (Goel et al., 2022)."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from mubench import Classifier, Step, Task, choice, cross_entropy_loss, log_uniform, method

SEARCH = {"lr": log_uniform(1e-4, 1e-1), "k": choice(1, 2, 4, 6)}


def last_layers(model: nn.Module, k: int) -> list[nn.Module]:
    """The last k convolutions and linear layers in the order of registration, and the norms among them.

    All layers if there are no more than k. Raises ValueError for k < 1.
    """
    if k < 1:
        raise ValueError(f"k = {k} leaves no layer to train: at least 1 is needed")
    own = [(m, dict(m.named_parameters(recurse=False))) for m in model.modules()]
    layers = [(m, p) for m, p in own if p]
    counted = [i for i, (_, p) in enumerate(layers) if "weight" in p and p["weight"].ndim > 1]
    return [m for m, _ in layers[counted[-min(k, len(counted))] :]]


@contextmanager
def only(model: nn.Module, layers: list[nn.Module]) -> Iterator[None]:
    """No other parameters take gradients inside; all do afterwards."""
    model.requires_grad_(False)
    for layer in layers:
        layer.requires_grad_(True)
    try:
        yield
    finally:
        model.requires_grad_(True)


@method("CF-k", sees="retain", cite="Goel et al. 2022", search=SEARCH)
def cf_k(model: Classifier, task: Task, *, epochs: int = 10, lr: float = 0.01, k: int = 1) -> None:
    """min CE over D_r, starting at theta_o, in the last k layers alone; other weights stay bit-identical.

    epochs: 10, lr: 0.01 (code of SCRUB's authors; 30 epochs of warm restarts from 0.1 to 0.005 in Goel et
    al.); searched in [1e-4, 1e-1]. k: layers with weights, counted from the head as the authors' code does,
    their BatchNorms with them; 1 is the head alone (k = 1 in later comparisons), the last stage of a
    ResNet-18 and its head are 6; searched in 1 to 6. Momentum 0.9, weight decay 5e-4. All BatchNorms are in
    train mode (public code), so the frozen ones' statistics follow D_r. Cost: epochs x n_r, a pass back
    through k layers being counted as a whole one. D_f is never read.
    """
    with only(model, last_layers(model, k)):
        fit = Step(model, cross_entropy_loss, lr)
        for x, y in task.retain.epochs(epochs):
            fit(x, y)
