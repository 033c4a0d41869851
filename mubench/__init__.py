"""mubench: how close does machine unlearning come to retraining, at what cost, and is it real?

The names below are what a plugin author needs; the harness itself is reached by the command
`mubench`. They load on first use, so that importing the package does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mubench.masks import largest, saliency, soft
    from mubench.metrics import metric
    from mubench.plugin import choice, dataset, log_uniform, method
    from mubench.task import Task
    from mubench.training import Step, cross_entropy_loss, train

__version__ = "0.1.0"

# Part of every record's key: raised when a change of the harness changes results.
NUMERICS = 2

_HOME = {
    "Step": "mubench.training",
    "Task": "mubench.task",
    "choice": "mubench.plugin",
    "cross_entropy_loss": "mubench.training",
    "dataset": "mubench.plugin",
    "largest": "mubench.masks",
    "log_uniform": "mubench.plugin",
    "method": "mubench.plugin",
    "metric": "mubench.metrics",
    "saliency": "mubench.masks",
    "soft": "mubench.masks",
    "train": "mubench.training",
}

__all__ = [
    "Step",
    "Task",
    "choice",
    "cross_entropy_loss",
    "dataset",
    "largest",
    "log_uniform",
    "method",
    "metric",
    "saliency",
    "soft",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'mubench' has no attribute {name!r}")
