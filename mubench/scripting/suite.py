"""A suite built in code: written as the TOML and plugin files that a person would have written."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from operator import index
from pathlib import Path
from typing import Any

from mubench.api.dataset import ImageSpec
from mubench.api.method import MethodSpec
from mubench.api.spec import Spec, specs_of
from mubench.discovery.find import Catalogue, load_plugin
from mubench.errors import UsageError
from mubench.planning.data_cache import image_spec_of, load_dataset
from mubench.planning.splits import Indices, make_partition
from mubench.planning.suite import VAL_PERCENT
from mubench.scripting.data import own_data, save
from mubench.scripting.model import adapter, check_model
from mubench.scripting.source import noun_of, self_contained
from mubench.storage.store import Store, default_store
from mubench.storage.toml import toml_value

Method = str | Callable[..., Any]
Methods = Iterable[Method] | Mapping[Any, Mapping[str, Any]]


@dataclass(frozen=True)
class Written:
    """What a suite in code became: its TOML file and its plugins' files, in the store."""

    path: Path
    plugins: tuple[Path, ...]


class Suite:
    """A benchmark built in code. Its keys are those of a suite's TOML file, with Python's things allowed.

    dataset: a name, `(images, labels)`, `(images, labels, is_test)`, a torch Dataset of (image, label), a
    training and a test Dataset, or a function declared with @dataset. Images are uint8, labels 0 to K-1.
    model: a name, a function or class that makes a network with K logits (called with `channels` and
    `num_classes` if it takes them), or a function declared with @model.
    forget: the percentage of the training images, {"class": 3}, a list of dataset indices, or TOML's table.
    methods: names and functions declared with @method, in a list, or each with its parameters in a dict.
    seeds: how many, or which. epochs, lr: of the original; the rate is divided by 10 after a half and three
    quarters of the epochs, unless `original` says otherwise. data: the dataset's options; for arrays
    `padding` and `flip`. keys: all else that a suite's file may hold.

    Raises UsageError, in one line, for what cannot be used.
    """

    def __init__(
        self,
        *,
        dataset: Any,
        model: Any,
        forget: Any,
        methods: Methods = (),
        seeds: int | Sequence[int] = 1,
        title: str = "",
        epochs: int | None = None,
        lr: float | None = None,
        data: Mapping[str, Any] | None = None,
        **keys: Any,
    ) -> None:
        """Look at the data, if they are the user's own; all else is checked when the suite is run."""
        self.dataset, self.model, self.forget, self.methods = dataset, model, forget, methods
        self.data, self.title, self._keys = _table(data or {}, "data"), title, keys
        self.seeds = _seeds(seeds)
        self.recipe = _recipe(epochs, lr, _table(keys.get("original", {}), "original"))
        self._raw = None
        if not isinstance(dataset, str) and not specs_of(dataset):
            if odd := {*self.data} - {"padding", "flip"}:
                raise UsageError(f"data has {min(odd)!r}; for arrays it may hold padding and flip")
            self._raw = own_data(dataset, **self.data)

    def __repr__(self) -> str:
        """Title, data and model."""
        images = "" if self._raw is None else f" of {len(self._raw.images)} images"
        model = _name(self.model, type(self.model).__name__)
        return f"<mubench.Suite {self.title or 'own suite'!r}: {_name(self.dataset)}{images}, {model}>"

    def indices(self, store: str | Path | None = None) -> dict[str, Indices]:
        """The dataset indices of the sets "train", "val" and "test", sorted: `forget` takes some of "train".

        No seed changes them. store: as in `mubench.run`. Raises UsageError for data that cannot be split.
        """
        raw = self._raw
        if raw is None:
            kept, plugins = Store(Path(store) if store is not None else default_store()), list[Path]()
            name, options, _ = self._write_data(kept, plugins)
            spec = Catalogue(plugins, kept.root / "specs").datasets.find(name)
            raw = load_dataset(spec, options, kept.root / "data").raw
        kind, percent = self._keys.get("split", "clean"), self._keys.get("val_percent", VAL_PERCENT)
        parts = make_partition(kind, raw.labels, raw.test, percent, raw.classes)
        return {"train": parts.train, "val": parts.val, "test": parts.test}

    def write(self, store: Store) -> Written:
        """Write it into the store, as files that `mubench run --suite ... --plugin ...` takes too."""
        plugins: list[Path] = []
        table: dict[str, Any] = {**self._keys}
        table["dataset"], table["data"], images = self._write_data(store, plugins)
        table["model"] = self._write_model(store, plugins, images)
        table["methods"] = {}
        for given, parameters in _items(self.methods):
            name = given if isinstance(given, str) else write_plugin(given, store, plugins, MethodSpec).name
            table["methods"][name] = dict(parameters)
        table["forget"], table["seeds"] = self._forget(store), self.seeds
        if self.recipe:
            table["original"] = self.recipe
        title = self.title or f"own suite: {table['data'].get('name', table['dataset'])}, {table['model']}"
        lines = [f"{json.dumps(k)} = {toml_value(v)}\n" for k, v in {"title": title, **table}.items()]
        text = "".join(lines)
        slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40] or "suite"
        name = f"{slug}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.toml"
        store.save_text("suites", name, text)
        return Written(store.root / "suites" / name, tuple(dict.fromkeys(plugins)))

    def _write_data(self, store: Store, plugins: list[Path]) -> tuple[str, dict[str, Any], ImageSpec]:
        if self._raw is not None:
            path, digest = save(self._raw, store)
            options = {"file": str(path), "name": f"own arrays {digest}", **self.data}
            return "arrays", options, self._raw.spec
        if specs_of(self.dataset):
            spec = write_plugin(self.dataset, store, plugins)
            name = spec.name
        else:
            name = str(self.dataset)
        catalogue = Catalogue(plugins, store.root / "specs")
        return name, self.data, image_spec_of(catalogue.datasets.find(name), self.data, store.root / "data")

    def _write_model(self, store: Store, plugins: list[Path], images: ImageSpec) -> str:
        if isinstance(self.model, str):
            return self.model
        if specs_of(self.model):
            spec = write_plugin(self.model, store, plugins)
        else:
            more = adapter(self.model, images)
            spec = write_plugin(self.model, store, plugins, more=more)
        check_model(spec, self.model, images)
        return spec.name

    def _forget(self, store: Store) -> dict[str, Any]:
        forget = self.forget
        if isinstance(forget, Mapping):
            return {**({} if "scenario" in forget else {"scenario": "class"}), **forget}
        if _is_a(Real, forget):
            return {"scenario": "random", "percent": float(forget)}
        try:
            text = "".join(f"{int(index)}\n" for index in forget)
        except (TypeError, ValueError):
            raise UsageError(
                f"forget is {type(forget).__name__}; expected a percentage, {{'class': 3}} or indices"
            ) from None
        name = f"{hashlib.sha256(text.encode()).hexdigest()}.txt"
        store.save_text("indices", name, text)
        return {"scenario": "indices", "file": str(store.root / "indices" / name)}


def write_plugin(
    thing: Any, store: Store, plugins: list[Path], kind: type[Spec] = Spec, more: str = ""
) -> Spec:
    """Write a function's plugin file into the store and name it in `plugins`; the spec that it declares.

    Raises UsageError if it is no such function, has no source or cannot stand alone.
    """
    if not callable(thing) or not hasattr(thing, "__name__"):
        raise UsageError(f"{thing!r:.80} is no function; expected a name, or a function with its declaration")
    own = [s for s in specs_of(thing) if isinstance(s, kind)]
    if not own and not more:
        raise UsageError(
            f"{noun_of(thing)} {thing.__name__!r} is not declared: put @method(name, ...) above it"
        )
    if thing.__module__.startswith("mubench."):
        return own[0]
    text = self_contained(thing, more)
    name = f"{thing.__name__}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.py"
    store.save_text("plugins", name, text)
    path = store.root / "plugins" / name
    plugins.append(path)
    wanted = own[0].name if own else thing.__name__
    return next(spec for spec in load_plugin(path, store.root / "specs") if spec.name == wanted)


def _items(methods: Methods) -> list[tuple[Method, Mapping[str, Any]]]:
    if isinstance(methods, str):
        raise UsageError(f"methods is a text; expected a list, as [{methods!r}]")
    return list(methods.items()) if isinstance(methods, Mapping) else [(m, {}) for m in methods]


def _is_a(kind: type, value: Any) -> bool:
    """Whether it is a number of this kind, numpy's too."""
    return isinstance(value, kind) and not isinstance(value, bool)


def _table(given: Any, key: str) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise UsageError(f"{key} is {given!r:.80}; expected a dict")
    return dict(given)


def _seeds(given: Any) -> list[int]:
    if _is_a(Integral, given):
        return list(range(int(given)))
    try:
        return [index(seed) for seed in given]
    except TypeError:
        raise UsageError(f"seeds is {given!r:.80}; expected how many, or a list of whole numbers") from None


def _recipe(epochs: int | None, lr: float | None, given: Mapping[str, Any]) -> dict[str, Any]:
    if epochs is not None and not _is_a(Integral, epochs):
        raise UsageError(f"epochs is {epochs!r:.80}; expected a whole number")
    if lr is not None and not _is_a(Real, lr):
        raise UsageError(f"lr is {lr!r:.80}; expected a number")
    short: dict[str, Any] = {} if lr is None else {"lr": float(lr)}
    if epochs is not None:
        epochs = int(epochs)
        short["epochs"] = epochs
        if given.get("schedule") != "cosine":
            short["milestones"] = sorted({max(1, epochs // 2), max(1, epochs * 3 // 4)})
    return {**short, **given}


def _name(thing: Any, otherwise: str = "own data") -> str:
    return thing if isinstance(thing, str) else getattr(thing, "__name__", None) or otherwise
