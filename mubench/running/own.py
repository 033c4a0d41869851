"""Originals of a method's own kind: trained by its function, kept as weights, put together again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mubench.api.classifier import Classifier
from mubench.api.cost import Ledger
from mubench.api.method import MethodSpec, SetSeen
from mubench.api.task import Task
from mubench.discovery.find import load_function
from mubench.planning.cell import Cell, Own
from mubench.running.bench import Bench
from mubench.running.evaluate import unlearned_model
from mubench.running.outcome import explain
from mubench.running.task import make_task, streams


class OwnTraining:
    """The function that `original=` names, on a task that has the training images and nothing else.

    Called like a method: on all training images it makes the original, on those to retain the method's own
    Retrain, and on none the module without its weights.
    """

    def __init__(self, method: Callable[..., Any], own: Own, task: Task) -> None:
        """method: the function that declares `original=`. task: that has the set "train"."""
        assert own.spec.original is not None
        self._function = method.__globals__[own.spec.original.function]
        self._parameters, self._task = own.parameters, task

    def __call__(self, _: nn.Module | None = None) -> nn.Module:
        """What it trains, always from a new model."""
        model = self._task.fresh_model()
        return unlearned_model(self._function(model, self._task, **self._parameters), model)

    @property
    def notes(self) -> dict[str, Any]:
        """What it logged."""
        return self._task.notes

    @property
    def aside_seconds(self) -> float:
        """The time that is no cost."""
        return self._task.aside_seconds


def trained_alone(spec: MethodSpec) -> MethodSpec:
    """The declaration of the function that `original=` names: it sees the training images alone."""
    return replace(spec, name=f"the original of {spec.name}", sees=(SetSeen.TRAIN,))


def own_training(
    cell: Cell, bench: Bench, indices: NDArray[np.int64], called: str, ledger: Ledger
) -> OwnTraining:
    """The training of the cell's own kind of original on these dataset indices.

    called: what the set is called by its random streams and the ledger.
    """
    own = cell.own
    assert own is not None
    task = make_task(
        trained_alone(own.spec),
        {"train": bench.take(indices)},
        streams(cell.seed, cell.stream),
        lambda number: bench.fresh(cell.seed, cell.stream, number),
        num_classes=len(bench.classes),
        device=bench.device,
        recipe=cell.setting.recipe,
        batch_size=bench.setting.batch_size,
        augmentation=bench.data.augmentation,
        ledger=ledger,
        ids={"train": torch.from_numpy(indices)},
        called={"train": called},
    )
    return OwnTraining(load_function(own.spec), own, task)


def put_together(training: OwnTraining, weights: Mapping[str, Tensor]) -> nn.Module:
    """The original with these parameters and buffers; training: on no images.

    Raises ValueError if there is no such module, or it does not fit them.
    """
    try:
        made = training()
    except Exception as error:
        raise ValueError(
            f"on no images, which make its module, the function of original= stops with {explain(error)}"
        ) from error
    try:
        made.load_state_dict(dict(weights))
    except RuntimeError as error:
        last = str(error).splitlines()[-1].strip()
        raise ValueError(
            f"the module that the function of original= makes of no images does not fit its weights: {last}"
        ) from None
    return made.train()


def count_into(model: nn.Module, ledger: Ledger) -> None:
    """Let the passes of the model, or of each classifier in it, be counted here."""
    for module in model.modules():
        if isinstance(module, Classifier):
            module.ledger = ledger
