"""A network with one wide hidden layer."""

from torch import nn

from mubench.api.model import model


@model("shallow-mlp")
def shallow_mlp(channels: int) -> tuple[nn.Module, int]:
    """One hidden layer of 512 with BatchNorm, for 8x8 digits; it soon knows some hundred by heart."""
    hidden = nn.Linear(64 * channels, 512, bias=False)
    return nn.Sequential(nn.Flatten(), hidden, nn.BatchNorm1d(512), nn.ReLU()), 512
