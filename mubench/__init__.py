"""mubench: how close does machine unlearning come to retraining, at what cost, and is it real?

The names below are what a plugin author needs; the program itself is reached by the command
`mubench`. They load on first use, so that importing the package does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mubench.version import __version__

if TYPE_CHECKING:
    from mubench.api.classifier import Classifier
    from mubench.api.dataset import ImageSpec, Raw, dataset
    from mubench.api.fisher import squared_gradients
    from mubench.api.images import ImageSet
    from mubench.api.mask import mask
    from mubench.api.masks import largest, saliency, soft
    from mubench.api.method import method
    from mubench.api.metric import metric
    from mubench.api.model import model
    from mubench.api.outputs import Outputs
    from mubench.api.parameter import choice, log_uniform
    from mubench.api.task import Task
    from mubench.api.training import Mask, Step, cosine, cross_entropy_loss, train

_HOME = {
    "Classifier": "classifier",
    "ImageSet": "images",
    "ImageSpec": "dataset",
    "Mask": "training",
    "Outputs": "outputs",
    "Raw": "dataset",
    "Step": "training",
    "Task": "task",
    "choice": "parameter",
    "cosine": "training",
    "cross_entropy_loss": "training",
    "dataset": "dataset",
    "largest": "masks",
    "log_uniform": "parameter",
    "mask": "mask",
    "method": "method",
    "metric": "metric",
    "model": "model",
    "saliency": "masks",
    "soft": "masks",
    "squared_gradients": "fisher",
    "train": "training",
}

__all__ = [
    "Classifier",
    "ImageSet",
    "ImageSpec",
    "Mask",
    "Outputs",
    "Raw",
    "Step",
    "Task",
    "__version__",
    "choice",
    "cosine",
    "cross_entropy_loss",
    "dataset",
    "largest",
    "log_uniform",
    "mask",
    "method",
    "metric",
    "model",
    "saliency",
    "soft",
    "squared_gradients",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"mubench.api.{_HOME[name]}"), name)
    raise AttributeError(f"module 'mubench' has no attribute {name!r}")
