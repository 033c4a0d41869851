"""A user's own network as a model of mubench, tried on two images before anything is trained."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from mubench.api.dataset import ImageSpec
from mubench.api.headless import no_head
from mubench.api.model import ModelSpec
from mubench.api.spec import Spec, specs_of
from mubench.discovery.models import build
from mubench.errors import UsageError, one_line

_ADAPTER = """
from mubench import headless as _headless, model as _model


@_model({name!r})
def _own_{name}(channels):
    return _headless({name}({arguments}), {classes})
"""


def _arguments(factory: Callable[..., Any], images: ImageSpec) -> dict[str, int]:
    """What a factory is called with."""
    known = {"channels": images.shape[0], "num_classes": images.classes}
    given = {}
    for p in inspect.signature(factory).parameters.values():
        if p.name in known:
            given[p.name] = known[p.name]
        elif p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            raise UsageError(
                f"model {factory.__name__!r}: what is {p.name!r}? A factory takes channels and num_classes, "
                "or nothing; give the others a default"
            )
    return given


def adapter(factory: Any, images: ImageSpec) -> str:
    """The declaration that makes a model of a factory; UsageError if it is none."""
    if not callable(factory) or not hasattr(factory, "__name__"):
        raise UsageError(
            f"model is a {type(factory).__name__}; expected a name, or a function or class that makes the "
            "network: every seed starts from fresh weights"
        )
    arguments = ", ".join(f"{name}={value}" for name, value in _arguments(factory, images).items())
    return _ADAPTER.format(name=factory.__name__, arguments=arguments, classes=images.classes)


def check_model(spec: Spec, factory: Any, images: ImageSpec) -> None:
    """Build the model and pass two black images through it.

    Raises UsageError, in one line, if it cannot be built, gives no K logits, or does more after its last
    linear layer.
    """
    import torch

    assert isinstance(spec, ModelSpec)
    channels, where = images.shape[0], f"model {spec.name!r}"
    black = torch.zeros(2, *images.shape)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a pool of threads would not survive a fork
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            if not specs_of(factory):
                _check_logits(_made(factory, images, where), black, images.classes, where)
            mean, std = torch.full((channels,), 0.5), torch.ones(channels)
            model = build(spec, images.classes, mean, std, torch.Generator().manual_seed(0)).eval()
            features = model.features(black)
            if features.shape != (2, model.head.in_features):
                raise UsageError(
                    f"{where}: for 2 images its backbone returns {tuple(features.shape)}; expected features "
                    f"(2, {model.head.in_features}), as it says"
                )
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        size = "x".join(map(str, images.shape))
        raise UsageError(f"{where} does not take images of {size}: {one_line(str(error))}") from error
    finally:
        torch.set_num_threads(threads)


def _made(factory: Callable[..., Any], images: ImageSpec, where: str) -> Any:
    """The network, in eval mode; UsageError if the factory fails or makes something else."""
    from torch import nn

    try:
        network = factory(**_arguments(factory, images))
    except UsageError:
        raise
    except Exception as error:  # it is the user's, and may raise anything
        raise UsageError(f"{where} cannot be made: {one_line(f'{type(error).__name__}: {error}')}") from error
    if not isinstance(network, nn.Module):
        raise UsageError(f"{where}: its factory makes a {type(network).__name__}; expected a torch.nn.Module")
    return network.eval()


def _check_logits(network: Any, black: Any, classes: int, where: str) -> None:
    """UsageError unless the network returns (n, K) logits, those of its last linear layer."""
    from torch import nn

    seen: list[Any] = []
    layers = [m for m in network.modules() if isinstance(m, nn.Linear)]
    if not layers:
        raise UsageError(f"{where}: {no_head(network)}")
    layers[-1].register_forward_hook(lambda _, __, out: seen.append(out))
    got = network(black)
    shape = tuple(got.shape) if hasattr(got, "shape") else type(got).__name__
    if shape != (2, classes):
        raise UsageError(f"{where} returns {shape} for 2 images; expected (2, {classes}): a logit per class")
    if not seen or not bool((seen[-1] == got).all()):
        raise UsageError(
            f"{where} does not return what its last nn.Linear gives; expected those logits, with "
            "nothing such as a softmax after them"
        )
