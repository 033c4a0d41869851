"""ResNets for images of about 32x32 pixels (He et al., 2016).

ResNet-8 and ResNet-20 are section 4.2's: three stages of 16, 32 and 64 channels. "x2" is twice as wide;
"s2" has a first convolution of stride 2, so that all stages work at half the size, at a quarter of the cost.
ResNet-18 and -50 are the ImageNet networks with the stem that the unlearning literature uses on CIFAR: a 3x3
convolution of stride 1 and no max-pool.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import relu

from mubench.api.model import model
from mubench.models._stem import with_small_stem


class Block(nn.Module):
    """Two 3x3 convolutions with BatchNorm and a shortcut; a 1x1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        """Maps (b, inputs, H, W) to (b, outputs, H / stride, W / stride)."""
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            project = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(project, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(b, inputs, H, W) -> (b, outputs, H / stride, W / stride)."""
        h = relu(self.bn1(self.conv1(x)), inplace=True)
        return relu(self.bn2(self.conv2(h)).add_(self.shortcut(x)), inplace=True)


def _small(channels: int, blocks: int, factor: int = 1, stride: int = 1) -> tuple[nn.Module, int]:
    width = 16 * factor
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)]
    layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    for stage, outputs in enumerate((16 * factor, 32 * factor, 64 * factor)):
        for i in range(blocks):
            layers.append(Block(width, outputs, stride=2 if stage and not i else 1))
            width = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), width


@model("resnet8")
def resnet8(channels: int) -> tuple[nn.Module, int]:
    """ResNet-8: one block a stage, 78 thousand weights with ten classes."""
    return _small(channels, 1)


@model("resnet8x2-s2")
def resnet8x2_s2(channels: int) -> tuple[nn.Module, int]:
    """ResNet-8, twice as wide, first stride 2: 308 thousand weights with ten classes, for a CPU."""
    return _small(channels, 1, factor=2, stride=2)


@model("resnet20")
def resnet20(channels: int) -> tuple[nn.Module, int]:
    """ResNet-20: three blocks a stage, 272 thousand weights with ten classes."""
    return _small(channels, 3)


@model("resnet18")
def resnet18(channels: int) -> tuple[nn.Module, int]:
    """ResNet-18 with the CIFAR stem: 11,173,962 weights with ten classes."""
    return with_small_stem("resnet18", channels)


@model("resnet50")
def resnet50(channels: int) -> tuple[nn.Module, int]:
    """ResNet-50 with the CIFAR stem."""
    return with_small_stem("resnet50", channels)
