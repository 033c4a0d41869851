"""torchvision's classifiers as backbones for small images: those with a linear head that fit any size."""

from __future__ import annotations

from torch import nn

from mubench.api.model import model
from mubench.models._stem import with_small_stem


@model(
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "efficientnet_v2_s",
    "googlenet",
    "mnasnet1_0",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "regnet_x_400mf",
    "regnet_y_400mf",
    "resnet34",
    "resnet101",
    "resnext50_32x4d",
    "shufflenet_v2_x1_0",
    "swin_t",
    "vgg11",
    "vgg11_bn",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19_bn",
    "wide_resnet50_2",
)
def torchvision_classifier(channels: int, *, name: str) -> tuple[nn.Module, int]:
    """torchvision's network of this name, untrained, with a 3x3 stem of stride 1."""
    return with_small_stem(name, channels)
