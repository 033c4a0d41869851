"""ARCANE: a one-class model for each class; of what saw an image alone is trained anew (Yan et al., 2022)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from mubench import ImageSet, Step, Task, method
from mubench.api.recipe import Recipe
from mubench.api.training import schedule_of

from .sisa import places, renew

# The squared distance of a class that no image is left of.
GONE = 1e12


class OneClass(nn.Module):
    """`states[k][r]`: f_k, the model of class k, after slice r. Logits (b, K): -log |f_k - target|^2."""

    present: Tensor

    def __init__(self, task: Task, slices: int) -> None:
        super().__init__()
        models = [[task.fresh_model(k) for _ in range(slices)] for k in range(task.num_classes)]
        self.states: Any = nn.ModuleList(map(nn.ModuleList, models))
        self.target = task.fresh_model(task.num_classes).requires_grad_(False)
        self.register_buffer("present", torch.zeros(task.num_classes, dtype=torch.bool, device=task.device))

    def forward(self, x: Tensor) -> Tensor:
        known = self.target(x)
        far = torch.stack([(states[-1](x) - known).square().sum(1) for states in self.states], 1)
        return -torch.where(self.present, far.clamp(1 / GONE), GONE).log()

    def learn(self, model: nn.Module, images: ImageSet, recipe: Recipe) -> None:
        """min |f - target|^2, mean over batch and outputs, by the recipe."""
        fall, target = schedule_of(recipe, images.batches), self.target.eval()
        step = Step(model, squared, recipe.lr, momentum=recipe.momentum, decay=recipe.decay, schedule=fall)
        for x, _ in images.epochs(recipe.epochs):
            with torch.no_grad():
                known = target(x)
            step(x, known)


def squared(model: nn.Module, x: Tensor, known: Tensor) -> Tensor:
    """Mean squared difference of the outputs from `known` (b, K)."""
    return mse_loss(model(x), known)


def train_again(model: OneClass, images: ImageSet, gone: Tensor, task: Task, slices: int) -> None:
    """Train what saw the places `gone` again, on these images; a class without any drops out."""
    where = images.labels.cpu() * slices + places(images.ids, slices)
    renew(model.states, images, where, gone, task, learn=model.learn)
    model.present = torch.bincount(images.labels, minlength=task.num_classes) > 0


def train_classes(_: nn.Module, task: Task, *, slices: int) -> OneClass:
    """The original; of the images to retain alone ARCANE's Retrain."""
    made = OneClass(task, slices)
    train_again(made, task.train, torch.arange(task.num_classes * slices), task, slices)
    return made


@method("ARCANE", sees=("forget", "retain"), original=train_classes, cite="Yan et al. 2022")
def arcane(model: OneClass, task: Task, *, slices: int = 2) -> None:
    """SISA with a shard for each class, whose model never sees another class; a class forgotten is dropped.

    The class is that of the model which knows an image best. No code of the authors was found, nor which
    one-class loss they train: here f_k learns what a random network says of its class's images (Burda et
    al., 2019), as that works with biases and BatchNorm, which let HRN's loss (Hu et al., 2020) collapse to a
    constant. Do not compare its accuracy with the paper's. slices: 2, a choice made here; a state is kept
    after each, the paper's training-state saving. Its selection of representative images and its sorting by
    the chance of deletion are left out: the one would have to be redone without what is forgotten, the other
    has nothing to go by. Exact as SISA; each model takes the recipe as there. Cost: at most epochs x n_r, and
    as many passes forward of the random network.
    """
    gone = task.forget.labels.cpu() * slices + places(task.forget.ids, slices)
    train_again(model, task.retain, gone, task, slices)
