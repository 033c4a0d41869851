"""Small networks for small images."""

from torch import nn

from mubench.api.model import model


@model("small-cnn")
def small_cnn(channels: int) -> tuple[nn.Module, int]:
    """Three 3x3 convolutions with BatchNorm for 8x8 digits: 32, 64, 64 wide, a max-pool after the first."""

    def block(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]

    layers = [*block(channels, 32), nn.MaxPool2d(2), *block(32, 64), *block(64, 64)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), 64
