"""What metrics, datasets and models must honour, rule by rule, for `mubench check`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mubench.api.dataset import DatasetSpec, Raw
from mubench.api.metric import MetricSpec
from mubench.api.model import ModelSpec
from mubench.api.outputs import SETS, Outputs
from mubench.discovery.find import load_function
from mubench.discovery.models import build
from mubench.errors import one_line
from mubench.running.global_state import current_settings, fresh_state
from mubench.running.rules import Verdict

CLASSES, IMAGES, SEEDS = 3, 24, 2


class _BrokenError(Exception):
    """A rule does not hold; the text says why."""


def _verdicts(rules: dict[str, Callable[[], Any]]) -> Iterator[Verdict]:
    """Each rule in order; after the first, which runs the plugin, none is checked if that fails."""
    broken = ""
    for words, check in rules.items():
        if broken:
            yield Verdict(words, "skip", f"not checked: {broken}")
            continue
        try:
            with fresh_state(1):  # what a plugin leaves changed must not reach the next rule
                check()
            yield Verdict(words, "pass")
        except _BrokenError as error:
            yield Verdict(words, "FAIL", one_line(str(error)))
        except Exception as error:  # a plugin may raise anything
            yield Verdict(words, "FAIL", one_line(f"{type(error).__name__}: {error}"))
            broken = "it stops before"


def made_up_outputs(classes: int = CLASSES, images: int = IMAGES, seed: int = 0) -> Outputs:
    """Logits of a mediocre model on four sets of so many images, of every class."""
    rng = np.random.default_rng(seed)
    labels: dict[str, Any] = {str(name): np.arange(images) % classes for name in SETS}
    logits: dict[str, Any] = {
        name: (rng.normal(size=(images, classes)) + 2 * np.eye(classes)[y]).astype(np.float32)
        for name, y in labels.items()
    }
    features = {name: rng.normal(size=(images, 5)).astype(np.float32) for name in ("forget", "retain")}
    return Outputs(logits, labels, features)


def check_metric(spec: MetricSpec) -> list[Verdict]:
    """A metric on made-up outputs of 3 and of 100 classes."""
    function = load_function(spec)

    def values(classes: int = CLASSES, images: int = IMAGES) -> list[Any]:
        rows = [made_up_outputs(classes, images, seed) for seed in range(SEEDS)]
        others = [made_up_outputs(classes, images, 10 + seed) for seed in range(SEEDS)]
        beside = {"references": others, "originals": others, "retrains": [[o, o] for o in others]}
        given = [beside[name] for name in spec.beside]
        held = _copies(rows, others)
        with fresh_state(1):
            if spec.by_seed:
                found = [function(*of_seed) for of_seed in zip(rows, *given, strict=True)]
            else:
                found = list(function(rows, *given))
        if not all(np.array_equal(a, b) for a, b in zip(held, _copies(rows, others), strict=True)):
            raise _BrokenError("it writes into the outputs that it is given, which others read after it")
        return found

    def number() -> None:
        found = values()
        if len(found) != SEEDS:
            raise _BrokenError(f"it gives {len(found)} results for {SEEDS} seeds")
        for result in found:
            for key, value in (result if isinstance(result, dict) else {spec.name: result}).items():
                if not np.isfinite(float(value)):
                    raise _BrokenError(f"{key} is {value}; leave out what does not exist")

    def again() -> None:
        if repr(values()) != repr(values()):
            raise _BrokenError(
                "a second call gives another value: draw from mubench.streams with a constant name"
            )

    rules = {
        "gives a finite number, or a dict of them, for each seed": number,
        "gives the same again": again,
        "works with 100 classes": lambda: values(100, 300),
    }
    notes = (
        [] if spec.doc.strip() else [Verdict("docstring", "advice", "say what the number means, in percent")]
    )
    return [*_verdicts(rules), *notes]


def _copies(*groups: list[Outputs]) -> list[Any]:
    held: list[Any] = [a for group in groups for o in group for a in (*o.logits.values(), *o.labels.values())]
    return [array.copy() for array in held]


def check_dataset(spec: DatasetSpec) -> list[Verdict]:
    """A dataset at its default options; one whose options have no defaults is not loaded."""
    words = "returns mubench.Raw: uint8 images, labels 0 to K-1, test images"
    if required := [p.name for p in spec.parameters if p.required]:
        return [Verdict(words, "skip", f"not loaded: {', '.join(required)} must be given")]
    function, held = load_function(spec), list[Raw]()

    def loads() -> None:
        raw = function()
        if not isinstance(raw, Raw):
            raise TypeError(f"it returns {type(raw).__name__}, not mubench.Raw")
        held.append(raw)

    def each() -> None:
        raw = held[0]
        for part, rows in (("training", ~raw.test), ("test", raw.test)):
            if absent := sorted({*range(len(raw.classes))} - {*raw.labels[rows].tolist()}):
                raise _BrokenError(
                    f"there are no {part} images of class {absent[0]} ({raw.classes[absent[0]]})"
                )

    def declared() -> None:
        if spec.images is not None and spec.images != held[0].spec:
            raise _BrokenError(f"it declares {spec.images}, but has {held[0].spec}")

    def again() -> None:
        with fresh_state(7):
            raw = function()
        if not all(
            np.array_equal(getattr(raw, p), getattr(held[0], p)) for p in ("images", "labels", "test")
        ):
            raise _BrokenError("a second call gives other images, labels or test images")

    rules = {
        words: loads,
        "has training and test images of every class": each,
        "has images of the form that it declares": declared,
        "gives the same again": again,
    }
    return list(_verdicts(rules))


def check_model(spec: ModelSpec, size: int = 32) -> list[Verdict]:
    """A model on images of 32 x 32 pixels, or of 8 x 8 where it takes no others."""

    def made(channels: int, classes: int = CLASSES) -> Any:
        mean, std = torch.full((channels,), 0.5), torch.ones(channels)
        return build(spec, classes, mean, std, torch.Generator().manual_seed(0))

    def logits(channels: int, n: int, classes: int = CLASSES, train: bool = False) -> Tensor:
        model = made(channels, classes).train(train)
        error: Exception | None = None
        for side in (size, 8, 28, 224):
            try:
                x = torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(0))
                out: Tensor = model(x)
                break
            except (RuntimeError, ValueError) as caught:
                error = error or caught
        else:
            raise TypeError(f"it takes no images of {size}x{size} or 8x8 pixels: {error}")
        if out.shape != (n, classes):
            raise _BrokenError(f"its logits have the shape {tuple(out.shape)}; expected ({n}, {classes})")
        return out

    def state(seed: int) -> dict[str, Tensor]:
        with fresh_state(seed):
            return dict(made(3).state_dict())

    def again() -> None:
        one, two = state(1), state(2)
        if odd := [name for name in one if not torch.equal(one[name], two[name])]:
            raise _BrokenError(f"{odd[0]} differs from one building to the next")

    def settings() -> None:
        with fresh_state(1):
            before = current_settings()
            made(3)
            if left := [name for name, value in current_settings().items() if value != before[name]]:
                raise _BrokenError(f"it leaves {' and '.join(left)} changed")

    def steps() -> None:
        out = logits(3, 4, train=True)
        out.sum().backward()  # type: ignore[no-untyped-call]

    rules: dict[str, Callable[[], Any]] = {
        "makes (a backbone, the width of its features) for 3 channels": lambda: logits(3, 2),
        "works for 1 channel": lambda: logits(1, 2),
        "works with one image and with 100 classes": lambda: logits(3, 1, 100),
        "leaves threads, gradients and other settings of torch as they were": settings,
        "has gradients": steps,
        "has the same weights again under the same seed": again,
    }
    return list(_verdicts(rules))
