"""VGG with BatchNorm for images of 32x32 pixels (Simonyan and Zisserman, 2015)."""

from __future__ import annotations

from torch import nn

from mubench.api.model import model


@model("vgg16-bn")
def vgg16_bn(channels: int) -> tuple[nn.Module, int]:
    """The thirteen convolutions of VGG-16 and a linear head on 512 features, as is usual on CIFAR."""
    layers: list[nn.Module] = []
    width = channels
    for stage in ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3):
        for outputs in stage:
            layers += [nn.Conv2d(width, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
            width = outputs
        # below 32 pixels a stage may have nothing left to halve
        layers.append(nn.MaxPool2d(2, ceil_mode=True))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), width
