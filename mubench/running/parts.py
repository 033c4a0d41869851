"""A row's parts in their order: its mask, its method under it, the method that goes on from the result."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mubench.api.mask import MaskSpec
from mubench.api.method import MethodSpec
from mubench.api.row_mask import RowMask, take_off
from mubench.api.task import Task
from mubench.discovery.find import load_function
from mubench.planning.cell import Cell
from mubench.running.evaluate import unlearned_model


class _Part:
    """A plugin's function, its options, and the task with the sets that it declares."""

    def __init__(self, spec: MethodSpec | MaskSpec, parameters: dict[str, Any] | None, task: Task) -> None:
        self.name, self._function, self._parameters = spec.name, load_function(spec), parameters or {}
        self.task = task.seen_by(spec)

    def __call__(self, model: nn.Module) -> Any:
        return self._function(model, self.task, **self._parameters)


class Parts:
    """The parts of a cell, loaded, on one task: they share its streams, its ledger and its time.

    So a row `base = A, mask = M, then = B` is what one would write by hand: M's mask, A's Steps under it,
    then B without it on what A left. A method alone is nothing but called.
    """

    def __init__(self, cell: Cell, spec: MethodSpec, task: Task) -> None:
        """task: with all the sets that the parts declare; each part gets its own."""
        mask, then = cell.composition.mask, cell.composition.then
        self._base = _Part(spec, cell.parameters, task)
        self._mask = _Part(mask.spec, mask.parameters, task) if mask else None
        self._then = _Part(then.spec, then.parameters, task) if then else None

    def __call__(self, model: nn.Module) -> Any:
        """What is timed; returns what the last method returned or, if that is nothing, left."""
        laid = self._lay(self._mask, model) if self._mask else None
        result = self._base(model)
        if laid is None and self._then is None:
            return result
        with self._base.task.aside():
            left = unlearned_model(result, model)
            if laid is not None:
                laid.check(self._base.name, left)
                take_off(left)
            left.train().requires_grad_(True)  # a method always finds a model as the original is
        return unlearned_model(self._then(left), left) if self._then else left

    @staticmethod
    def _lay(mask: _Part, model: nn.Module) -> RowMask:
        with mask.task.aside():
            before = {name: value.clone() for name, value in model.state_dict().items()}
        entries = mask(model)
        with mask.task.aside():
            if any(not torch.equal(value, before[name]) for name, value in model.state_dict().items()):
                raise ValueError(f"the mask {mask.name!r} changes the model that it is made for")
            return RowMask(mask.name, entries, model)

    @property
    def notes(self) -> dict[str, Any]:
        """What the method logged, and under "mask" and "then" what those did."""
        others = {"mask": self._mask, "then": self._then}
        return self._base.task.notes | {
            word: p.task.notes for word, p in others.items() if p and p.task.notes
        }

    @property
    def aside_seconds(self) -> float:
        """The time that is no method's cost."""
        return sum(p.task.aside_seconds for p in (self._mask, self._base, self._then) if p)
