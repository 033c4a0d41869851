"""What is kept of a model: its logits on every set, checked, and what its method logged."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mubench.api.outputs import SETS
from mubench.planning.splits import Split
from mubench.running.bench import Bench


@contextmanager
def _full_precision(model: nn.Module) -> Iterator[None]:
    """Without autocast, whatever the model was trained in: a threshold attack would see bf16's rounding."""
    casting = [
        (m, m.autocast) for m in model.modules() if isinstance(getattr(m, "autocast", None), torch.dtype)
    ]
    for module, _ in casting:
        module.autocast = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for module, kind in casting:
            module.autocast = kind


def predict(model: nn.Module, images: Tensor, batch_size: int = 1024) -> tuple[Tensor, Tensor | None]:
    """(logits (n, K), features (n, d) or None) in eval mode of uint8 images (n, C, H, W), on the CPU.

    In fp32, whatever the precision of training, and fewer images at once where memory is short.
    Features are those that `model.head` receives; a module without such a head has none. The model's
    weights, buffers and mode are left as they were.
    """
    was_training = model.training
    seen: list[Tensor] = []
    head = getattr(model, "head", None)
    hook = None
    if isinstance(head, nn.Module):
        hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].float().cpu()))
    model.eval()
    try:
        with torch.no_grad(), _full_precision(model):
            logits: list[Tensor] = []
            start = 0
            while start < len(images):
                known = len(seen)
                part = images[start : start + batch_size].float().div_(255)
                try:
                    logits.append(model(part).float().cpu())
                except torch.OutOfMemoryError:
                    if batch_size == 1:
                        raise
                    batch_size //= 2
                    del seen[known:]
                    continue
                start += len(part)
    finally:
        model.train(was_training)
        if hook is not None:
            hook.remove()
    return torch.cat(logits), torch.cat(seen) if len(seen) == len(logits) else None


# Penultimate features are kept of this many fixed forget and retain images.
FEATURES = 500


def _checked(result: Any, model: nn.Module, images: Tensor, classes: int) -> nn.Module:
    """The unlearned model, or an error that says what a method returned instead."""
    unlearned = model if result is None else result
    if not isinstance(unlearned, nn.Module):
        raise TypeError(f"the method returned {type(result).__name__}, not a module (or nothing)")
    for name, value in [*unlearned.named_parameters(), *unlearned.named_buffers()]:
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise FloatingPointError(f"{name} holds NaN or infinite values after unlearning")
    logits, _ = predict(unlearned, images[:1])
    if logits.shape != (1, classes):
        raise ValueError(f"the unlearned model returns {logits.shape[-1]} logits, not {classes}")
    return unlearned


def evaluate(bench: Bench, model: nn.Module, split: Split) -> dict[str, np.ndarray[Any, Any]]:
    """Logits and labels of every set, and features of fixed forget and retain images."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for name in SETS:
        images, labels = bench.take(getattr(split, name))
        logits, features = predict(model, images)
        arrays[f"logits.{name}"] = logits.numpy()
        arrays[f"labels.{name}"] = labels.cpu().numpy()
        if name in ("forget", "retain") and features is not None:
            arrays[f"features.{name}"] = features[:FEATURES].numpy()
    return arrays


def weights_of(model: nn.Module) -> dict[str, np.ndarray[Any, Any]]:
    """All parameters and buffers as float32 (or integer) arrays."""
    return {name: value.detach().cpu().numpy() for name, value in model.state_dict().items()}


def _plain(value: Any) -> Any:
    """What a method logged, as JSON: NaN and infinities become strings, tensors lists."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Tensor | np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    json.dumps(value)  # a TypeError here names what cannot be kept
    return value
