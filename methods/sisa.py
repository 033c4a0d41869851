"""SISA: sharded, isolated, sliced, aggregated; what saw an image is trained anew (Bourtoule et al., 2021)."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mubench import ImageSet, Task, method, train
from mubench.api.recipe import Recipe


class Shards(nn.Module):
    """`states[s][r]`: the model of shard s after slice r. Logits (b, K): log mean softmax of the last."""

    def __init__(self, task: Task, shards: int, slices: int) -> None:
        super().__init__()
        models = [[task.fresh_model(s) for _ in range(slices)] for s in range(shards)]
        self.states: Any = nn.ModuleList(map(nn.ModuleList, models))

    def forward(self, x: Tensor) -> Tensor:
        each = torch.stack([states[-1](x).log_softmax(1) for states in self.states])
        return each.logsumexp(0) - math.log(len(each))


def places(ids: Tensor, parts: int) -> Tensor:
    """Which of equal parts each image is in (n,), by its number alone: multiples of the golden ratio."""
    return (ids.double() * 0.6180339887498949 % 1 * parts).long()


def shortened(recipe: Recipe, r: int, slices: int) -> Recipe:
    """The recipe in the share of its epochs that slice r takes, 2 / (slices + 1) of them but for rounding."""
    whole = recipe.epochs
    epochs = 2 * whole * (r + 1) // (slices + 1) - 2 * whole * r // (slices + 1)
    warmup, *falls = (e * epochs // whole for e in (recipe.warmup, *recipe.milestones))
    return recipe.model_copy(update={"epochs": epochs, "warmup": warmup, "milestones": falls})


def renew(
    every: Any, images: ImageSet, where: Tensor, gone: Tensor, task: Task, learn: Callable[..., None] = train
) -> None:
    """Go back, in each shard, to before the first slice in `gone`, and train on the images from there on.

    every: `states` of all shards. where: of each image, and gone: shard x slices + slice. Each state
    starts from the one before, on the shard's slices up to its own. learn: `(model, images, recipe)`.
    """
    slices = len(every[0])
    for shard, states in enumerate(every):
        hit = gone[gone // slices == shard] % slices
        for r in range(int(hit.min()), slices) if len(hit) else ():
            before = states[r - 1] if r else task.fresh_model(shard)
            states[r].load_state_dict(before.state_dict())
            rows = (where >= shard * slices) & (where <= shard * slices + r)
            part = images.subset(f"shard {shard}, slice {r}", rows)
            learn(states[r], part, shortened(task.recipe, r, slices))


def train_shards(_: nn.Module, task: Task, *, shards: int, slices: int) -> Shards:
    """The original; of the images to retain alone SISA's Retrain."""
    made, parts = Shards(task, shards, slices), shards * slices
    renew(made.states, task.train, places(task.train.ids, parts), torch.arange(parts), task)
    return made


@method("SISA", sees=("forget", "retain"), original=train_shards, cite="Bourtoule et al. 2021")
def sisa(model: Shards, task: Task, *, shards: int = 5, slices: int = 2) -> None:
    """Each shard that held a forgotten image goes back to before the first slice that did, and trains on D_r.

    The original is an ensemble: a model a shard, trained on its first slice, then on the first two, and so
    on, with its state kept after each. Exact: no state that remains was trained on a forgotten image, and
    deletion reads none. shards: 5, slices: 2, both chosen here: the paper sweeps them, the authors' code has
    1 slice unless told otherwise. Where many images are forgotten at random, every shard is hit in its first
    slice, and deletion costs as much as training. An image's place follows from its number alone. As in the
    authors' code each of R slices takes 2 / (R + 1) of the epochs, so that there are as many passes as
    without; but each goes through the whole schedule of the recipe, where they keep one rate. Outputs are
    aggregated by the mean softmax, one of the paper's two ways; its vote of labels would leave attacks
    nothing to read. Cost: at most epochs x n_r.
    """
    gone, kept = (places(images.ids, shards * slices) for images in (task.forget, task.retain))
    renew(model.states, task.retain, kept, gone, task)
