"""The made-up task on which a method's manners are checked: a few grey images, a model of one convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mubench.api.classifier import Classifier, initialise
from mubench.api.cost import Ledger
from mubench.api.images import Augmentation
from mubench.api.method import MethodSpec
from mubench.api.recipe import Recipe
from mubench.api.task import Task
from mubench.running.task import generator, make_task, streams

CLASSES = 3
IMAGES = 24
_SEEDS = streams(0, "contract")


def _forget_set(scenario: str, labels: Tensor, classes: int) -> Tensor:
    """Which of the images are to be forgotten, as booleans."""
    place = torch.arange(len(labels))
    if scenario == "class":
        return labels == classes - 1
    if scenario == "indices":
        return place < 5
    # with many classes, some images of each, not all of some
    return (place + (place // classes if classes > CLASSES else 0)) % 4 == 1


def _model(stream: str, ledger: Ledger, classes: int, number: int = 0) -> Classifier:
    """One convolution with BatchNorm and a head, on images of 8 x 8 grey pixels."""
    layers = nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(4)
    model = Classifier(
        nn.Sequential(*layers, nn.Flatten()), 24, classes, torch.tensor([0.5]), torch.tensor([0.3])
    )
    initialise(model, generator(_SEEDS(stream, *([str(number)] if number else []))))
    model.ledger = ledger
    return model.train()


class MadeUp:
    """Images whose brightness tells their class, cut into the sets that methods may read."""

    def __init__(self, scenario: str, batch_size: int, classes: int, images: int) -> None:
        """scenario: what is forgotten."""
        self.classes, self._batch_size = classes, batch_size
        labels = torch.arange(images) % classes
        draw = generator(_SEEDS("pixels"))
        self.pixels = torch.randint(0, 176, (images, 1, 8, 8), generator=draw, dtype=torch.uint8)
        self.pixels += 40 * (labels % CLASSES).to(torch.uint8)[:, None, None, None]
        forget = _forget_set(scenario, labels, classes)
        self._rows = {"forget": forget, "retain": ~forget, "val": ~forget, "train": forget | True}
        self._data = {name: (self.pixels[at], labels[at]) for name, at in self._rows.items()}
        self._untouched = {name: (x.clone(), y.clone()) for name, (x, y) in self._data.items()}

    def task(self, spec: MethodSpec, ledger: Ledger, stream: str = "", count: int | None = None) -> Task:
        """The task of a method; stream: for other random streams than that. count: images of each set."""
        return make_task(
            spec,
            {name: (x[:count], y[:count]) for name, (x, y) in self._data.items()},
            streams(0, "contract", stream) if stream else _SEEDS,
            lambda number: _model(stream or "fresh", ledger, self.classes, number),
            num_classes=self.classes,
            device=torch.device("cpu"),
            batch_size=self._batch_size,
            augmentation=Augmentation(padding=1, flip=True),
            recipe=Recipe(epochs=2, milestones=[1]),
            ledger=ledger,
            ids={name: at.nonzero()[:count, 0] for name, at in self._rows.items()},
        )

    def original(self, ledger: Ledger) -> Classifier:
        """The usual original."""
        return _model("original", ledger, self.classes)

    @property
    def changed(self) -> list[str]:
        """The sets whose images or labels are no longer what they were."""
        return [
            name
            for name, now in self._data.items()
            if not all(torch.equal(a, b) for a, b in zip(now, self._untouched[name], strict=True))
        ]
