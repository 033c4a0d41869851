"""timm's networks by their names there, where timm is installed, on images that are resized for them."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import interpolate

from mubench.api.model import model
from mubench.errors import UsageError, suggestion

PREFIX = "timm:"


class Resized(nn.Module):
    """A network on images that are made its size first, on their device (bilinear, without antialiasing)."""

    def __init__(self, network: nn.Module, size: tuple[int, int]) -> None:
        """size: height and width."""
        super().__init__()
        self.network, self.size = network, size

    def forward(self, x: Tensor) -> Tensor:
        """(b, C, h, w) -> features (b, d)."""
        if tuple(x.shape[2:]) != self.size:
            x = interpolate(x, self.size, mode="bilinear", align_corners=False)
        features: Tensor = self.network(x)
        return features


@model(f"{PREFIX}*", package="timm")
def timm_network(channels: int, *, name: str) -> tuple[nn.Module, int]:
    """timm's network of this name (timm:vit_tiny_patch16_224), untrained, on images resized to its size.

    What is no convolution or linear layer, as position embeddings, is drawn as timm does. Needs `pip install
    timm`; its version is part of the records' keys.
    """
    import timm

    known = name.removeprefix(PREFIX)
    if not timm.is_model(known):
        raise UsageError(f"timm has no model {known!r}.{suggestion(known, timm.list_models())}")
    network: Any = timm.create_model(known, pretrained=False, in_chans=channels, num_classes=0)
    _, height, width = network.default_cfg["input_size"]
    features = getattr(network, "head_hidden_size", None) or network.num_features
    return Resized(network, (height, width)), int(features)
