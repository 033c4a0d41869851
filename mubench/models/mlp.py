"""A small network without convolutions."""

from torch import nn

from mubench.api.model import model


@model("small-mlp")
def small_mlp(channels: int) -> tuple[nn.Module, int]:
    """Two hidden layers of 256 with BatchNorm, for 8x8 digits: a tenth of the small CNN's cost."""

    def block(inputs: int) -> list[nn.Module]:
        return [nn.Linear(inputs, 256, bias=False), nn.BatchNorm1d(256), nn.ReLU()]

    return nn.Sequential(nn.Flatten(), *block(64 * channels), *block(256)), 256
