"""SCRUB+R: SCRUB, rewound to where forgotten images are as often wrong as unseen ones (Kurmanji 2023)."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import torch
from torch import Tensor

from mubench import Classifier, ImageSet, Task, choice, log_uniform, method

from .scrub import scrub


class Watched:
    """A set of images that calls `then` after each pass."""

    def __init__(self, images: ImageSet, then: Callable[[], None]) -> None:
        self._images, self._then, self.batches = images, then, images.batches

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        yield from self._images
        self._then()


@torch.no_grad()
def wrong_by_class(model: Classifier, images: ImageSet, classes: int) -> Tensor:
    """The share of each class's images that is predicted wrongly (K,), in eval mode; 0 without images."""
    training, wrong, count = model.training, torch.zeros(classes), torch.zeros(classes)
    model.eval()
    for x, y in images.plain():
        wrong += torch.bincount(y[model(x).argmax(1) != y].cpu(), minlength=classes)
        count += torch.bincount(y.cpu(), minlength=classes)
    model.train(training)
    return wrong / count.clamp(min=1)


@method(
    "SCRUB+R",
    sees=("forget", "retain", "val"),
    cite="Kurmanji et al. 2023",
    search={"lr": log_uniform(1e-4, 1e-1), "msteps": choice(1, 2, 3, 5), "alpha": log_uniform(1e-3, 1.0)},
)
def scrub_r(
    model: Classifier,
    task: Task,
    *,
    epochs: int = 5,
    msteps: int = 3,
    lr: float = 5e-4,
    gamma: float = 1.0,
    alpha: float = 0.5,
    temperature: float = 4.0,
) -> None:
    """SCRUB's state after that epoch whose error on D_f is closest to the last one's on validation images.

    Those are to be of D_f's kind: their error is taken class by class and weighted as the classes are in D_f,
    so that of a forgotten class only its own validation images count. Of epochs that are equally close the
    first is taken; theta_o is none of them. epochs, msteps, lr, gamma, alpha, temperature: as SCRUB. It reads
    validation images, which also guide `mubench tune`: others choose nothing by them. Cost: SCRUB's, and
    epochs x n_f + n_val forward.
    """
    share = torch.bincount(task.forget.labels.cpu(), minlength=task.num_classes) / len(task.forget)
    states: list[dict[str, Tensor]] = []
    errors: list[float] = []

    def error(images: ImageSet) -> float:
        return float(share @ wrong_by_class(model, images, task.num_classes))

    def keep() -> None:
        states.append({name: value.clone() for name, value in model.state_dict().items()})
        errors.append(error(task.forget))

    options: dict[str, Any] = {"gamma": gamma, "alpha": alpha, "temperature": temperature}
    watched = SimpleNamespace(forget=task.forget, retain=Watched(task.retain, keep), device=task.device)
    scrub(model, cast(Task, watched), epochs=epochs, msteps=msteps, lr=lr, **options)
    if states:
        reference = error(task.val)
        best = min(range(len(states)), key=lambda e: abs(errors[e] - reference))
        model.load_state_dict(states[best])
        task.log(epoch=best + 1, error=errors[best], reference=reference)
