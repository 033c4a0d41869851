"""What a method may see: the sets it declared, labels, the number of classes, its random stream.

Test and Retrain are not reachable through it. A plugin runs in the user's process and
could import its way around this; the check catches accidents, not malice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, Any

import torch

from mubench.api.cost import Ledger

if TYPE_CHECKING:
    from mubench.api.classifier import Classifier
    from mubench.api.images import ImageSet
    from mubench.api.mask import MaskSpec
    from mubench.api.method import MethodSpec
    from mubench.api.recipe import Recipe


class Task:
    """One unlearning request, as a method sees it.

    num_classes: K. device: where model and batches live. rng: the method's own generator, on that
    device. recipe: how originals are trained. ledger: what was used so far.
    """

    def __init__(
        self,
        spec: MethodSpec,
        sets: Mapping[str, ImageSet],
        *,
        num_classes: int,
        device: torch.device,
        rng: torch.Generator,
        recipe: Recipe,
        fresh: Callable[[int], Classifier],
        ledger: Ledger,
    ) -> None:
        """Only the sets that `spec` declares are kept."""
        self._name, self._noun = spec.name, spec.noun
        self._sets = {name: s for name, s in sets.items() if name in spec.sees}
        self._fresh = fresh
        self.num_classes, self.device, self.rng = num_classes, device, rng
        self.recipe, self.ledger = recipe, ledger
        self.notes: dict[str, Any] = {}
        self.aside_seconds = 0.0

    def _set(self, name: str) -> ImageSet:
        if name not in self._sets:
            if "train" in (name, *self._sets):
                raise PermissionError(
                    f"{self._name} reads task.{name}: task.train is for the function that original= names, "
                    "which reads nothing else"
                )
            raise PermissionError(
                f"{self._name} reads task.{name} without declaring it: "
                f"@{self._noun}({self._name!r}, sees=...) must name {name!r}"
            )
        return self._sets[name]

    def seen_by(self, spec: MethodSpec | MaskSpec) -> Task:
        """The same task, streams and ledger for another plugin, with the sets that it declares alone."""
        twin = copy(self)
        twin._name, twin._noun = spec.name, spec.noun
        twin._sets = {name: s for name, s in self._sets.items() if name in spec.sees}
        twin.notes, twin.aside_seconds = {}, 0.0
        return twin

    @property
    def forget(self) -> ImageSet:
        """D_f, the images to forget."""
        return self._set("forget")

    @property
    def retain(self) -> ImageSet:
        """D_r, the training images that remain."""
        return self._set("retain")

    @property
    def val(self) -> ImageSet:
        """The validation images, which nobody trains on: for a method that chooses by them, and says so."""
        return self._set("val")

    @property
    def train(self) -> ImageSet:
        """What an original is trained on, for the function that `original=` names: all training images.

        Where that function makes the method's own Retrain, D_r alone.
        """
        return self._set("train")

    def fresh_model(self, number: int = 0) -> Classifier:
        """A newly initialised model of the original's kind; its weights come from the run's seed.

        The same ones at every call; another `number` is a model with other weights.
        """
        return self._fresh(number)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What happens inside is for the log alone: neither its time nor its passes are the method's cost."""
        ledger = self.ledger
        before = (dict(ledger.reads), ledger.forward, ledger.backward)
        self._synchronise()
        start = time.perf_counter()
        try:
            yield
        finally:
            self._synchronise()
            self.aside_seconds += time.perf_counter() - start
            ledger.reads, ledger.forward, ledger.backward = before

    def _synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def log(self, **values: Any) -> None:
        """Keep plain numbers, strings, lists or dicts of them in the run's record."""
        self.notes.update(values)
