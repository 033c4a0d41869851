"""A stem for small images on torchvision's networks."""

from __future__ import annotations

from typing import Any

from torch import nn


def _owner(model: nn.Module, path: str) -> tuple[nn.Module, str]:
    parent, _, name = path.rpartition(".")
    return model.get_submodule(parent), name


def with_small_stem(name: str, channels: int) -> tuple[nn.Module, int]:
    """torchvision's network `name`, untrained, without its last layer: (backbone, width of its features).

    The stem is made for images of about 32 pixels: the first convolution has at most 3x3 weights and
    stride 1, a max-pool that is part of the stem goes.
    """
    from torchvision import models

    extra: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        extra = {"aux_logits": False, "init_weights": False}
    model = models.get_model(name, weights=None, **extra)
    convolutions = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d)]
    linears = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear)]
    path, first = convolutions[0]
    size = min(first.kernel_size[0], 3)
    stem = nn.Conv2d(channels, first.out_channels, size, 1, size // 2, bias=first.bias is not None)
    setattr(*_owner(model, path), stem)
    for pool in ("maxpool", "maxpool1", "features.pool0"):
        parent, attribute = pool.rpartition(".")[0], pool.rpartition(".")[2]
        if parent in dict(model.named_modules()) and hasattr(model.get_submodule(parent), attribute):
            setattr(model.get_submodule(parent), attribute, nn.Identity())
    for module in model.modules():
        if isinstance(module, nn.MaxPool2d) and module.kernel_size == 2:
            module.ceil_mode = True  # below 32 pixels VGG has nothing left to halve
    path, last = linears[-1]
    setattr(*_owner(model, path), nn.Identity())
    return model, last.in_features
