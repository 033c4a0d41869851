"""What is kept of a model: its logits on every set, checked, and what its method logged."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
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
    """Without autocast and compiled code, however the model was trained: a threshold attack would see bf16's
    rounding, and evaluation would be compiled anew."""
    before = []
    for module in model.modules():
        for name in ("autocast", "_compiled_call_impl"):
            if module.__dict__.get(name) is not None:
                before.append((module, name, module.__dict__[name]))
                setattr(module, name, None)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


def predict(model: nn.Module, images: Tensor, batch_size: int = 1024) -> tuple[Tensor, Tensor | None]:
    """(logits (n, K), features (n, d) or None) in eval mode of uint8 images (n, C, H, W), on the CPU.

    In fp32, whatever the precision of training, and fewer images at once where memory is short.
    Features are those that `model.head` receives; a module without such a head has none. The model's
    weights, buffers and mode are left as they were. Raises ValueError unless each batch has a row of logits
    for each image, all of one width.
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
                so_far = len(seen)
                part = images[start : start + batch_size].float().div_(255)
                try:
                    z = model(part).float().cpu()
                except torch.OutOfMemoryError:
                    if batch_size == 1:
                        raise
                    batch_size //= 2
                    del seen[so_far:]
                    continue
                if z.ndim != 2 or len(z) != len(part) or (logits and z.shape[1] != logits[0].shape[1]):
                    raise ValueError(f"the model returns {tuple(z.shape)} logits for {len(part)} images")
                logits.append(z)
                start += len(part)
    finally:
        model.train(was_training)
        if hook is not None:
            hook.remove()
    return torch.cat(logits), torch.cat(seen) if len(seen) == len(logits) else None


# Penultimate features are kept of this many fixed forget and retain images.
FEATURES = 500


def unlearned_model(result: Any, model: nn.Module) -> nn.Module:
    """What a method leaves: the module it returned, or else `model`.

    Raises TypeError if it returned something else, FloatingPointError if a weight is not finite.
    """
    unlearned = model if result is None else result
    if not isinstance(unlearned, nn.Module):
        raise TypeError(f"the method returned {type(result).__name__}, not a module (or nothing)")
    for name, value in [*unlearned.named_parameters(), *unlearned.named_buffers()]:
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise FloatingPointError(f"{name} holds NaN or infinite values after unlearning")
    return unlearned


def check_logits(logits: Tensor, classes: int, where: str) -> None:
    """Raise ValueError unless logits (n, K) have K = `classes`, FloatingPointError if one is not finite."""
    if logits.shape[-1] != classes:
        raise ValueError(f"the unlearned model returns {logits.shape[-1]} logits, not {classes}")
    if not bool(torch.isfinite(logits).all()):
        raise FloatingPointError(f"the unlearned model's logits {where} are not finite")


def evaluate(bench: Bench, model: nn.Module, split: Split) -> dict[str, np.ndarray[Any, Any]]:
    """Logits and labels of every set, and features of fixed forget and retain images.

    Raises as `check_logits`, for any image of any set.
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for name in SETS:
        images, labels = bench.take(getattr(split, name))
        logits, features = predict(model, images)
        check_logits(logits, len(bench.classes), f"on the {name} set")
        arrays[f"logits.{name}"] = logits.numpy()
        arrays[f"labels.{name}"] = labels.cpu().numpy()
        if name in ("forget", "retain") and features is not None and bool(torch.isfinite(features).all()):
            arrays[f"features.{name}"] = features[:FEATURES].numpy()
    return arrays


def share_changed(before: Mapping[str, Tensor], model: nn.Module) -> float:
    """The share of the values of `before` (parameters and buffers by name) that `model` no longer holds.

    0.0 if the method changed nothing at all, 1.0 for a module of another structure.
    """
    after = model.state_dict()
    if {n: t.shape for n, t in before.items()} != {n: t.shape for n, t in after.items()}:
        return 1.0
    changed = sum(int((after[name].to(old.device) != old).sum()) for name, old in before.items())
    return changed / max(1, sum(old.numel() for old in before.values()))


def weights_of(model: nn.Module) -> dict[str, np.ndarray[Any, Any]]:
    """All parameters and buffers as float32 (or integer) arrays."""
    return {name: value.detach().cpu().numpy() for name, value in model.state_dict().items()}


def as_json(value: Any) -> Any:
    """What a method logged, as JSON: NaN and infinities become strings, tensors lists."""
    if isinstance(value, dict):
        return {str(k): as_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(v) for v in value]
    if isinstance(value, Tensor | np.ndarray | np.generic):
        return as_json(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    json.dumps(value)  # a TypeError here names what cannot be kept
    return value
