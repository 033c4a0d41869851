"""A whole network of somebody's own as the backbone of a model."""

from __future__ import annotations

from torch import nn


def headless(network: nn.Module, num_classes: int | None = None) -> tuple[nn.Module, int]:
    """(backbone, width of its features) of a network that ends in an `nn.Linear`, which is taken out.

    For functions declared with `@model`: the harness puts a fresh linear head in its place, and draws the
    weights of all convolutions and linear layers anew from the seed. The network must return what its last
    `nn.Linear` gives, the logits, and nothing after it. num_classes: K, if it is to be checked.

    Raises TypeError if it has no such layer, or one that does not give K values.
    """
    if not isinstance(network, nn.Module):
        raise TypeError(f"expected a network (nn.Module), got {type(network).__name__}")
    layers = [(name, m) for name, m in network.named_modules() if isinstance(m, nn.Linear)]
    if not layers or not layers[-1][0]:
        raise TypeError(no_head(network))
    name, last = layers[-1]
    if num_classes not in (None, last.out_features):
        raise TypeError(
            f"expected {num_classes} logits, one per class, but the network's last nn.Linear ({name}) gives "
            f"{last.out_features}"
        )
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, nn.Identity())
    return network, last.in_features


def no_head(network: nn.Module) -> str:
    """What to say of a network in which there is no `nn.Linear` to take out."""
    leaf = next(m for m in reversed([*network.modules()]) if not [*m.children()])
    return (
        "expected a network with an nn.Linear as its last layer, whose outputs are the logits, got one that "
        f"ends in {type(leaf).__name__}; or declare what comes before the logits with @model, as a function "
        "that returns (a module, the width of its features)"
    )
