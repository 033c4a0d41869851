"""mubench: how close does machine unlearning come to retraining, at what cost, and is it real?

The names below are what a plugin author needs, and the Python API: `Suite`, `run`, `load_results` and
`evaluate`. They load on first use, so that importing the package does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mubench.version import __version__

if TYPE_CHECKING:
    from mubench.api.adam import AdamStep
    from mubench.api.classifier import Classifier
    from mubench.api.dataset import ImageSpec, Raw, dataset
    from mubench.api.fisher import squared_gradients
    from mubench.api.frozen import frozen
    from mubench.api.headless import headless
    from mubench.api.images import ImageSet
    from mubench.api.mask import mask
    from mubench.api.masks import largest, saliency, soft
    from mubench.api.method import method
    from mubench.api.metric import metric
    from mubench.api.model import model
    from mubench.api.outputs import Outputs
    from mubench.api.parameter import choice, log_uniform
    from mubench.api.per_example import fisher_diagonal, per_example_gradients
    from mubench.api.task import Task
    from mubench.api.tracker import TrackedCell, tracker
    from mubench.api.training import Mask, Step, cosine, cross_entropy_loss, train
    from mubench.scripting.evaluate import evaluate
    from mubench.scripting.results import Results, load_results
    from mubench.scripting.run import run
    from mubench.scripting.suite import Suite

# Name -> its module.
_HOME = {
    "AdamStep": "api.adam",
    "Classifier": "api.classifier",
    "ImageSet": "api.images",
    "ImageSpec": "api.dataset",
    "Mask": "api.training",
    "Outputs": "api.outputs",
    "Raw": "api.dataset",
    "Results": "scripting.results",
    "Step": "api.training",
    "Suite": "scripting.suite",
    "Task": "api.task",
    "TrackedCell": "api.tracker",
    "choice": "api.parameter",
    "cosine": "api.training",
    "cross_entropy_loss": "api.training",
    "dataset": "api.dataset",
    "evaluate": "scripting.evaluate",
    "fisher_diagonal": "api.per_example",
    "frozen": "api.frozen",
    "headless": "api.headless",
    "largest": "api.masks",
    "load_results": "scripting.results",
    "log_uniform": "api.parameter",
    "mask": "api.mask",
    "method": "api.method",
    "metric": "api.metric",
    "model": "api.model",
    "per_example_gradients": "api.per_example",
    "run": "scripting.run",
    "saliency": "api.masks",
    "soft": "api.masks",
    "squared_gradients": "api.fisher",
    "tracker": "api.tracker",
    "train": "api.training",
}

__all__ = [
    "AdamStep",
    "Classifier",
    "ImageSet",
    "ImageSpec",
    "Mask",
    "Outputs",
    "Raw",
    "Results",
    "Step",
    "Suite",
    "Task",
    "TrackedCell",
    "__version__",
    "choice",
    "cosine",
    "cross_entropy_loss",
    "dataset",
    "evaluate",
    "fisher_diagonal",
    "frozen",
    "headless",
    "largest",
    "load_results",
    "log_uniform",
    "mask",
    "method",
    "metric",
    "model",
    "per_example_gradients",
    "run",
    "saliency",
    "soft",
    "squared_gradients",
    "tracker",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"mubench.{_HOME[name]}"), name)
    raise AttributeError(f"module 'mubench' has no attribute {name!r}")
