"""What every method must honour, checked on a made-up task: `check_method(my_function)`.

For a plugin's own tests. The task goes through the classes that a real run uses, so what passes here
fails there for its results only, never for its manners.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mubench.api.classifier import Classifier, initialise
from mubench.api.cost import Ledger
from mubench.api.images import Augmentation
from mubench.api.method import MethodSpec
from mubench.api.recipe import Recipe
from mubench.api.spec import specs_of
from mubench.discovery.find import load_function
from mubench.errors import UsageError
from mubench.running.evaluate import as_json, check_logits, predict, unlearned_model
from mubench.running.task import generator, make_task, streams

CLASSES = 3
IMAGES = 24
_LABELS = torch.arange(IMAGES) % CLASSES
_FORGET = {
    "random": torch.arange(IMAGES) % 4 == 1,
    "class": _LABELS == CLASSES - 1,
    "indices": torch.arange(IMAGES) < 5,
}


@dataclass(frozen=True)
class Trace:
    """What a method did to the made-up task: the weights before and after, and what it used."""

    before: Mapping[str, Tensor]
    after: Mapping[str, Tensor]
    ledger: Ledger

    @property
    def changed(self) -> list[str]:
        """Names of the parameters that are not bit-identical to the original's."""
        return differing(self.before, self.after)


def differing(one: Mapping[str, Tensor], two: Mapping[str, Tensor]) -> list[str]:
    """Names that only one holds, or whose values are not bit-identical."""
    return [
        n for n in sorted({*one, *two}) if n not in one or n not in two or not torch.equal(one[n], two[n])
    ]


_SEEDS = streams(0, "contract")


def _model(stream: str, ledger: Ledger) -> Classifier:
    """One convolution with BatchNorm and a head, on images of 8 x 8 grey pixels."""
    layers = nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(4)
    model = Classifier(
        nn.Sequential(*layers, nn.Flatten()), 24, CLASSES, torch.tensor([0.5]), torch.tensor([0.3])
    )
    initialise(model, generator(_SEEDS(stream)))
    model.ledger = ledger
    return model.train()


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


@contextmanager
def _global_state(seed: int) -> Iterator[None]:
    """Global random states start from `seed`, on one thread; afterwards all is the caller's again."""
    ours, numpys, threads = random.getstate(), np.random.get_state(), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            random.seed(seed)
            np.random.seed(seed)
            torch.manual_seed(seed)
            yield
    finally:
        random.setstate(ours)
        np.random.set_state(numpys)
        torch.set_num_threads(threads)


class _Trial:
    """A method to be run on the made-up task, whatever goes wrong being an AssertionError that names it."""

    def __init__(self, spec: MethodSpec, function: Callable[..., Any], parameters: Mapping[str, Any]) -> None:
        self.spec, self.function, self.parameters = spec, function, dict(parameters)

    def fail(self, message: str, cause: BaseException | None = None) -> AssertionError:
        error = AssertionError(f"method {self.spec.name!r} {message}")
        error.__cause__ = cause
        return error

    def run(self, scenario: str, *, batch_size: int = 4, seed: int = 1, **changed: Any) -> Trace:
        """Run once under the global random seed `seed`."""
        ledger = Ledger()
        pixels = torch.randint(
            0, 176, (IMAGES, 1, 8, 8), generator=generator(_SEEDS("pixels")), dtype=torch.uint8
        )
        pixels += 40 * _LABELS.to(torch.uint8)[:, None, None, None]
        rows = {"forget": _FORGET[scenario], "retain": ~_FORGET[scenario]}
        data = {name: (pixels[at], _LABELS[at]) for name, at in rows.items()}
        untouched = {name: (images.clone(), labels.clone()) for name, (images, labels) in data.items()}
        task = make_task(
            self.spec,
            data,
            _SEEDS,
            lambda: _model("fresh", ledger),
            num_classes=CLASSES,
            device=torch.device("cpu"),
            batch_size=batch_size,
            augmentation=Augmentation(padding=1, flip=True),
            recipe=Recipe(epochs=2, milestones=[1]),
            ledger=ledger,
        )
        where = f"in scenario {scenario!r}, batches of {batch_size}"
        with _global_state(seed):
            model = _model("original", ledger)
            before = _weights(model)
            torch.manual_seed(seed)
            try:
                result = self.function(model, task, **{**self.parameters, **changed})
            except PermissionError as error:
                raise self.fail(f"touches an undeclared set ({where}): {error}", error) from error
            except Exception as error:
                raise self.fail(f"stops with {type(error).__name__} ({where}): {error}", error) from error
        used = Ledger(dict(ledger.reads), ledger.forward, ledger.backward)
        try:
            unlearned = unlearned_model(result, model)
            check_logits(predict(unlearned, pixels)[0], CLASSES, "on the task's images")
        except (TypeError, ValueError, FloatingPointError) as error:
            raise self.fail(f"leaves no usable model ({where}): {error}", error) from error
        try:
            as_json(task.notes)
        except TypeError as error:
            raise self.fail(f"logs what a record cannot keep ({where}): {error}", error) from error
        for name, tensors in data.items():
            if not all(torch.equal(a, b) for a, b in zip(tensors, untouched[name], strict=True)):
                raise self.fail(f"changed the images or labels of the {name} set ({where})")
        return Trace(before, _weights(unlearned), used)


def _check_declaration(trial: _Trial) -> None:
    spec = trial.spec
    if not spec.doc.strip():
        raise trial.fail("has no docstring: say what it minimises, where its defaults come from, its cost")
    if not spec.cite.strip() and spec.role != "baseline":
        raise trial.fail("has no cite: name the publication that the row stands for")
    if not spec.scenarios:
        raise trial.fail("applies to no scenario")
    for p in spec.parameters:
        search = spec.search.get(p.name, {})
        for value in [*search.get("choices", []), *search.get("log", [])]:
            try:
                p.check(value, "its search range")
            except UsageError as error:
                raise trial.fail(f"cannot be tuned: {error}", error) from error


def _check_cost(trial: _Trial, outcome: Trace) -> None:
    used = outcome.ledger
    read = sum(used.reads.values())
    cost = f"{read} images read, {used.forward} passed forward and {used.backward} backward"
    for count in (*used.reads.values(), used.forward, used.backward):
        if type(count) is not int or count < 0:
            raise trial.fail(f"has a cost that is not a count of images: {cost}")
    if trial.spec.role == "baseline" and (read or used.forward or outcome.changed):
        raise trial.fail(f"is a baseline, which does nothing, but: {cost}; changed {outcome.changed}")
    if outcome.changed and read and not used.forward:
        raise trial.fail(
            f"changes weights by images that never pass through the model as it is counted ({cost}): "
            "call model(x) or model.features(x), not the layers inside"
        )
    if used.backward > used.forward:
        raise trial.fail(f"passes more images backward than forward: {cost}")


def _check_streams(trial: _Trial, scenario: str, outcome: Trace) -> None:
    if not (names := differing(outcome.after, trial.run(scenario, seed=2).after)):
        return
    if differing(outcome.after, trial.run(scenario).after):
        raise trial.fail(f"is not deterministic: a second run gave other values for {names}")
    raise trial.fail(f"depends on the global random state (see {names}): draw from task.rng instead")


def check_method(
    method: Callable[..., Any] | MethodSpec, parameters: Mapping[str, Any] | None = None
) -> dict[str, Trace]:
    """Run a method on a made-up task of 24 images and 3 classes; AssertionError if it misbehaves.

    method: the decorated function, or a spec from the registry. parameters: in place of its defaults.

    Checked: docstring, cite and search ranges; K logits and finite weights, in every
    declared scenario, with a forget set smaller than a batch too; only declared sets are read, and
    no data changed; the same streams give bit-identical weights, whatever the global random state;
    notes fit into a record; the cost is counted; no epochs (all int parameters called epochs...
    set to 0) leave the original's weights.

    Returns what it did, by scenario. Raises TypeError if `method` is not a declared method.
    """
    if isinstance(method, MethodSpec):
        spec, function = method, load_function(method)
    elif specs_of(method) and isinstance(own := specs_of(method)[0], MethodSpec):
        spec, function = own, method
    else:
        raise TypeError(f"{method!r} is not declared with @method(name, ...)")
    trial = _Trial(spec, function, spec.bind(parameters or {}, f"parameters of {spec.name}"))
    _check_declaration(trial)
    first = spec.scenarios[0]
    outcomes: dict[str, Trace] = {s: trial.run(s) for s in spec.scenarios}
    for outcome in (*outcomes.values(), trial.run(first, batch_size=2 * IMAGES)):
        _check_cost(trial, outcome)
    _check_streams(trial, first, outcomes[first])
    lengths = {p.name: 0 for p in spec.parameters if p.name.startswith("epochs") and p.kind == "int"}
    if lengths and spec.role == "method" and (names := trial.run(first, **lengths).changed):
        raise trial.fail(f"changes {names} with {', '.join(lengths)} = 0")
    return outcomes
