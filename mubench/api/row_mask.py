"""The mask that a suite lays over a whole method: its Steps find it on the model, no method has to know.

It lies on the model and on each module in it, so that a Step over a part of the model, over a copy or
over a module that holds the model finds it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

# The attribute of a module that holds the mask and the module's place in the model.
_MARK = "_row_mask"


class RowMask:
    """A mask with the weights that it was made for. `used`: whether a Step has found it."""

    def __init__(self, name: str, entries: Mapping[str, Tensor], model: nn.Module) -> None:
        """Check the mask called `name` against the trainable parameters of `model`, and lay it on them.

        Raises ValueError, naming the mask, if an entry is missing, of another shape or outside [0, 1].
        """
        self.used = False
        self.entries: dict[str, Tensor] = {}
        for key, p in model.named_parameters():
            if not p.requires_grad:
                continue
            if key not in entries or entries[key].shape != p.shape:
                raise ValueError(f"the mask {name!r} has no entry of shape {tuple(p.shape)} for {key!r}")
            entry = self.entries[key] = torch.empty_like(p, requires_grad=False).copy_(entries[key])
            if not bool(((entry >= 0) & (entry <= 1)).all()):
                raise ValueError(f"the mask {name!r} has values outside [0, 1] for {key!r}")
        self._before = {key: p.detach().clone() for key, p in model.named_parameters()}
        for place, module in model.named_modules():
            setattr(module, _MARK, (self, place))

    def __deepcopy__(self, memo: dict[int, Any]) -> RowMask:
        """Copies of a model are under the same mask."""
        return self

    def check(self, method: str, model: nn.Module) -> None:
        """ValueError unless the mask has held: weights at 0 are bit-identical, and what moved did by Step."""
        after = dict(model.named_parameters())
        moved = 0
        for key, old in self._before.items():
            new = after.get(key)
            if new is None or new.shape != old.shape:
                raise ValueError(
                    f"{method} leaves no {key!r} of shape {tuple(old.shape)}: no mask holds on it"
                )
            differs = new.detach() != old
            if not self.used and bool(differs.any()):
                raise ValueError(f"{method} trains without Step: no mask acts on it")
            if key in self.entries:
                moved += int((differs & (self.entries[key] == 0)).sum())
        if moved:
            raise ValueError(
                f"{method} moves {moved:,} weights that its mask holds: it changes them without Step"
            )


def take_off(model: nn.Module) -> None:
    """No mask lies on the model any more."""
    for module in model.modules():
        module.__dict__.pop(_MARK, None)


def entries_over(model: nn.Module) -> dict[str, Tensor]:
    """Parameter's name in `model` -> its entry in the row's mask; without such a mask nothing.

    Rows that a layer has got since then (an extra class) may move freely.
    """
    found: dict[str, Tensor] = {}
    for place, module in model.named_modules():
        mask, home = module.__dict__.get(_MARK, (None, ""))
        if mask is None:
            continue
        for name, p in module.named_parameters():
            key = f"{place}.{name}" if place else name
            entry = mask.entries.get(f"{home}.{name}" if home else name)
            if entry is not None and key not in found:
                found[key] = _fitted(entry, p, key)
                mask.used = True
    return found


def _fitted(entry: Tensor, p: Tensor, key: str) -> Tensor:
    if entry.shape == p.shape:
        return entry
    if entry.ndim and entry.shape[1:] == p.shape[1:] and len(entry) < len(p):
        return torch.cat([entry, entry.new_ones(len(p) - len(entry), *p.shape[1:])])
    raise ValueError(f"the row's mask is {tuple(entry.shape)} for {key!r}, which is now {tuple(p.shape)}")
