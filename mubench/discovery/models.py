"""The models by name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from mubench.errors import unknown

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from mubench.api.classifier import Classifier


MODELS = {
    "small-cnn": "mubench.models.small:small_cnn",
    "resnet8": "mubench.models.resnet:resnet8",
    "resnet20": "mubench.models.resnet:resnet20",
    "resnet18": "mubench.models.resnet:resnet18",
    "resnet50": "mubench.models.resnet:resnet50",
    "vgg16-bn": "mubench.models.vgg:vgg16_bn",
}


def check_model(name: str) -> None:
    """UsageError with the nearest name if there is no such model."""
    if name in MODELS:
        return
    from mubench.models.vision import names

    if name not in names():
        raise unknown("model", name, [*MODELS, *names()])


def backbone(name: str, channels: int) -> tuple[nn.Module, int]:
    """The model called `name` without its head, and the width of its features."""
    if name not in MODELS:
        check_model(name)
        return import_module("mubench.models.vision").with_small_stem(name, channels)  # type: ignore[no-any-return]
    module, function = MODELS[name].split(":")
    made: tuple[nn.Module, int] = getattr(import_module(module), function)(channels)
    return made


def build(name: str, num_classes: int, mean: Tensor, std: Tensor, rng: torch.Generator) -> Classifier:
    """A freshly initialised classifier on the CPU; `mean` and `std` are (C,), in [0, 1] units."""
    import torch

    from mubench.api.classifier import Classifier, initialise

    # a network may draw from the global generator while it is put together
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(rng.initial_seed())
        model = Classifier(*backbone(name, len(mean)), num_classes, mean, std)
    initialise(model, rng)
    return model.to(memory_format=torch.channels_last)
