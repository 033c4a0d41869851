"""Classifiers, always seen the same way: images in [0, 1] in, float32 logits out.

Normalisation, memory layout and autocast live inside, so no method can forget them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mubench.api.cost import Ledger


class Classifier(nn.Module):
    """A backbone that yields features and a linear head.

    `model(x)`: (b, C, H, W) in [0, 1] -> logits (b, K) float32. `model.features(x)`: the penultimate
    features (b, d) float32. `model.head`: the last `nn.Linear`. Passes are counted in `ledger`.
    """

    mean: Tensor
    std: Tensor
    if TYPE_CHECKING:  # nn.Module's returns Any

        def __call__(self, x: Tensor) -> Tensor: ...

    def __init__(self, backbone: nn.Module, width: int, num_classes: int, mean: Tensor, std: Tensor) -> None:
        """`backbone` maps images to (b, width); `mean` and `std` are per channel."""
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(width, num_classes)
        self.register_buffer("mean", mean.view(1, -1, 1, 1))
        self.register_buffer("std", std.view(1, -1, 1, 1))
        self.ledger = Ledger()
        self.autocast: torch.dtype | None = None
        self.channels_last = True

    def _features(self, x: Tensor) -> Tensor:
        x = (x - self.mean) / self.std
        if self.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        h: Tensor = self.backbone(x)
        return h

    def _counted(self, y: Tensor) -> Tensor:
        """Count a forward pass now and, if gradients flow back through it, a backward pass then."""
        ledger, n = self.ledger, len(y)
        ledger.forward += n
        if y.requires_grad:

            def count(_: Tensor) -> None:
                ledger.backward += n

            y.register_hook(count)  # type: ignore[no-untyped-call]
        return y

    def _cast(self, x: Tensor) -> torch.autocast:
        return torch.autocast(x.device.type, dtype=self.autocast, enabled=self.autocast is not None)

    def features(self, x: Tensor) -> Tensor:
        """Penultimate features, (b, d) float32."""
        with self._cast(x):
            h = self._features(x)
        return self._counted(h.float())

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (b, K) float32."""
        with self._cast(x):
            z = self.head(self._features(x))
        return self._counted(z.float())


def initialise(model: nn.Module, rng: torch.Generator) -> None:
    """Draw all weights from `rng`: He-normal for convolutions (He et al., 2015), uniform for the head."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1] // module.groups
            nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out), generator=rng)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            nn.init.uniform_(module.weight, -bound, bound, generator=rng)
            if module.bias is not None:
                nn.init.uniform_(module.bias, -bound, bound, generator=rng)
