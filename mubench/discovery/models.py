"""Builds a model from its declaration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mubench.api.model import ModelSpec
from mubench.discovery.find import load_function

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mubench.api.classifier import Classifier


def build(spec: ModelSpec, num_classes: int, mean: Tensor, std: Tensor, rng: torch.Generator) -> Classifier:
    """A freshly initialised classifier on the CPU; `mean` and `std` are (C,), in [0, 1] units.

    Raises TypeError if the model's function does not return a module and a width.
    """
    import torch
    from torch import nn

    from mubench.api.classifier import Classifier, initialise

    function = load_function(spec)
    # a network may draw from the global generator while it is put together
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(rng.initial_seed())
        result = function(len(mean), name=spec.name) if spec.family else function(len(mean))
        if not (
            isinstance(result, tuple)
            and len(result) == 2
            and isinstance(result[0], nn.Module)
            and isinstance(result[1], int)
        ):
            raise TypeError(
                f"model {spec.name!r} must return (a module, the width of its features), not {result!r:.80}"
            )
        model = Classifier(*result, num_classes, mean, std)
    initialise(model, rng)
    return model.to(memory_format=torch.channels_last)
