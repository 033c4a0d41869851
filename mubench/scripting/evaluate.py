"""`mubench.evaluate`: the numbers of models that were unlearned elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from mubench.api.outputs import SETS, Outputs
from mubench.api.scores import confidence
from mubench.discovery.find import Catalogue
from mubench.errors import UsageError, one_line, quote, suggestion
from mubench.reporting.columns import Columns
from mubench.reporting.evaluate import check_outputs
from mubench.reporting.histograms import PARTS, Histogram, Histograms
from mubench.reporting.manifest import Manifest, ManifestRow
from mubench.reporting.render import make_report
from mubench.scripting.cells import cells_of
from mubench.scripting.data import as_array
from mubench.scripting.results import Results
from mubench.storage.store import default_store

# A model's logits by set, or the model itself.
Source = Mapping[str, Any] | Callable[[Any], Any]
NEEDED = ("forget", "retain", "test")
BATCH = 512


def evaluate(
    unlearned: Any,
    retrained: Any,
    labels: Any,
    *,
    original: Any = None,
    images: Any = None,
    forgotten: Sequence[int] = (),
    headline: str = "mia_svc",
    title: str = "evaluated elsewhere",
) -> Results:
    """The table of models that were unlearned elsewhere, beside Retrain: every metric that the outputs allow.

    unlearned: a model's logits, {"forget": (n, K), "retain": ..., "test": ...} and, if there are, "val"; or a
    list of them, one per seed; or rows of a table, {"Mine": logits or list, ...}.
    retrained: Retrain's logits alike. For one seed, a list holds several Retrains: the first is the
    reference, the others are the noise floor. For a list of seeds it has one entry per seed, each of them
    logits or a list.
    labels: {"forget": (n,), ...} alike, or a list of them, one per seed. original: as `retrained`, of one
    each.
    images: {"forget": (n, C, H, W), ...}, or a list: where a model stands in place of logits, a function or
    nn.Module from images to logits. It is called in eval mode on 512 images at once; to a Module go tensors
    on its own device, floats in the type of its weights.
    Without outputs of "val" the metrics that want them are left out, as is said under the table.
    forgotten: the classes that were forgotten as a whole. headline: the attack that ranks.

    Raises UsageError, in one line, for what cannot be scored.
    """
    rows = unlearned if _is_table(unlearned) else {"Unlearned": unlearned}
    count = max((len(row) for row in rows.values() if isinstance(row, list | tuple)), default=1)
    several = any(isinstance(row, list | tuple) for row in rows.values())
    data = [
        {"labels": _labels(y), "images": x}
        for y, x in zip(_by_seed(labels, count, "labels"), _by_seed(images, count, "images"), strict=True)
    ]
    outputs = partial(_outputs, forgotten=tuple(int(k) for k in forgotten))

    def of(row: Any, name: str) -> list[Outputs]:
        sources = _by_seed(row, count, name) if several else [row]
        return [
            outputs(s, name=_at(name, i, count), **d)
            for i, (s, d) in enumerate(zip(sources, data, strict=True))
        ]

    again = [of(k, "Retrain") for k in _retrains(retrained, count, several)]
    table = {"Retrain": ("reference", again[0])}
    if original is not None:
        table["Original"] = ("baseline", of(original, "Original"))
    for number, further in enumerate(again[1:], 1):
        table[f"Retrain (again{f' {number}' if number > 1 else ''})"] = ("floor", further)
    for name, row in rows.items():
        if str(name) in table:
            raise UsageError(f"a row is called {name!r}, the name of a row that joins by itself; rename it")
        table[str(name)] = ("method", of(row, str(name)))
    metrics = Catalogue(cache=default_store() / "specs").metrics
    attacks = [m.name for m in metrics.values() if m.gap == "attack"]
    if headline not in attacks:
        raise UsageError(f"headline {quote(headline)} is no attack.{suggestion(headline, attacks)}")
    keys = {name: [_key(name, one) for one in of] for name, (_, of) in table.items()}
    cells, left_out = cells_of(table, metrics)
    cells["key"] = [keys[row][seed] for row, seed in zip(cells["method"], cells["seed"], strict=True)]
    columns = Columns.of(metrics.values(), headline)
    notes = [f"Made elsewhere: {count} seed{'s' * (count > 1)}, from logits of {_sizes(again[0][0])}."]
    notes += [f"Left out, for want of {what}: {', '.join(names)}." for what, names in left_out.items()]
    about = {name: {"role": role, "keys": dict(enumerate(keys[name]))} for name, (role, _) in table.items()}
    rows = [ManifestRow.model_validate({"name": name, **facts}) for name, facts in about.items()]
    manifest = Manifest(title=title, notes=notes, headline=headline, columns=list(columns.metrics), rows=rows)
    report = make_report(cells, caption=title, notes=notes, columns=manifest.shown)
    return Results(report, metrics, partial(_histograms, table), manifest)


def _is_table(unlearned: Any) -> bool:
    return isinstance(unlearned, Mapping) and not {*unlearned} & {*SETS}


def _at(name: str, seed: int, count: int) -> str:
    return name if count == 1 else f"{name}, seed {seed}"


def _by_seed(given: Any, count: int, name: str) -> list[Any]:
    """An entry per seed; what is no list is the same for all, where that can be."""
    if not isinstance(given, list | tuple):
        if name in ("labels", "images") or count == 1:
            return [given] * count
        raise UsageError(f"{name} has no entry per seed; expected a list of {count}")
    if len(given) != count:
        raise UsageError(f"{name} has {len(given)} entries; expected {count}, one per seed")
    return list(given)


def _retrains(retrained: Any, count: int, several: bool) -> list[Any]:
    """The Retrains, each for all seeds."""
    if not several:
        found = list(retrained) if isinstance(retrained, list | tuple) else [retrained]
    else:
        seeds = [s if isinstance(s, list | tuple) else [s] for s in _by_seed(retrained, count, "retrained")]
        if len({len(s) for s in seeds}) > 1:
            raise UsageError("retrained has more Retrains at one seed than at another; expected equally many")
        found = [list(column) for column in zip(*seeds, strict=True)]
    if not found or found[0] is None:
        raise UsageError("retrained is empty; expected the logits of at least one retrained model")
    return found


def _labels(given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping) or not {*NEEDED} <= {*given}:
        raise UsageError('labels: expected {"forget": (n,), "retain": (n,), "test": (n,)}')
    if odd := {*given} - {*SETS}:
        raise UsageError(f"labels: unknown set {min(map(str, odd))!r}.{suggestion(str(min(odd)), SETS)}")
    labels = {name: as_array(values) for name, values in given.items()}
    for name, values in labels.items():
        if values.ndim != 1 or values.dtype.kind not in "iu":
            raise UsageError(
                f"labels of {name} are {values.dtype} {values.shape}; expected (n,) whole numbers"
            )
    return {name: values.astype(np.int64) for name, values in labels.items()}


def _outputs(
    source: Source, *, labels: Mapping[str, Any], images: Any, forgotten: tuple[int, ...], name: str
) -> Outputs:
    """The outputs of one model; UsageError naming it if its logits cannot be scored."""
    if callable(source):
        if not isinstance(images, Mapping) or not {*labels} <= {*images}:
            raise UsageError(
                f"{name} is a model: expected images={{set: (n, C, H, W)}} of every set with labels"
            )
        source = {part: _logits(source, images[part], f"{name}, {part}") for part in labels}
    if not isinstance(source, Mapping):
        raise UsageError(f"{name} is {type(source).__name__}; expected logits by set, or a model and images")
    if odd := {*source} - {*SETS}:
        raise UsageError(f"{name}: unknown set {min(map(str, odd))!r}.{suggestion(str(min(odd)), SETS)}")
    if missing := [part for part in NEEDED if part not in source]:
        raise UsageError(f'{name} has no logits of {missing[0]}; expected "forget", "retain" and "test"')
    parts = [part for part in SETS if part in source and part in labels]
    logits: dict[str, Any] = {str(part): as_array(source[part]).astype(np.float32) for part in parts}
    for part, z in logits.items():
        n, low, top = len(labels[part]), int(labels[part].min(initial=0)), int(labels[part].max(initial=0))
        if z.ndim != 2 or len(z) != n or z.shape[1] < 2:
            raise UsageError(f"{name}: {part} has logits {z.shape}; expected ({n}, K), a row for each label")
        if low < 0 or top >= z.shape[1]:
            raise UsageError(
                f"{name}: {part} has logits of {z.shape[1]} classes, its labels are {low} to {top}"
            )
        if n and bool((z >= 0).all()) and np.allclose(z.sum(axis=1), 1, atol=1e-3):
            raise UsageError(
                f"{name}: {part} has probabilities, every row sums to 1; expected logits, or the logarithms "
                "of the probabilities"
            )
    made = Outputs(logits, {part: labels[part] for part in parts}, forgotten=forgotten)
    try:
        check_outputs(made)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None
    return made


def _logits(model: Callable[[Any], Any], images: Any, where: str) -> Any:
    """What a model says of images, in batches and eval mode, without gradients."""
    import torch

    training = getattr(model, "training", False)
    module = model if isinstance(model, torch.nn.Module) else None
    if module is not None:
        module.eval()
    try:
        with torch.no_grad():
            starts = range(0, len(images), BATCH)
            parts = [as_array(model(_batch(images[start : start + BATCH], module))) for start in starts]
    except Exception as error:  # the model is the user's, and may raise anything
        said = one_line(f"{type(error).__name__}: {error}")
        kind = getattr(images, "dtype", type(images).__name__)
        raise UsageError(
            f"{where}: the model fails on images {np.shape(images)} of {kind}: {said}"
        ) from error
    finally:
        if module is not None:
            module.train(training)
    if any(part.ndim != 2 for part in parts):
        raise UsageError(f"{where}: the model returns {parts[0].shape}; expected (n, K) logits")
    return np.concatenate(parts)


def _batch(images: Any, module: Any) -> Any:
    """What a model is called with: an nn.Module with a tensor where its weights are, others as given."""
    import torch

    if module is None:
        return images
    tensor = torch.as_tensor(images)
    weight = next(module.parameters(), tensor)
    same = tensor.is_floating_point() and weight.is_floating_point()
    return tensor.to(weight.device, weight.dtype if same else tensor.dtype)


def _key(row: str, outputs: Outputs) -> str:
    """A name for a cell of the table: the digest of its outputs, as the store has none for it."""
    sha = hashlib.sha256(row.encode())
    arrays: list[tuple[str, Any]] = [*sorted(outputs.logits.items()), *sorted(outputs.labels.items())]
    for name, array in arrays:
        sha.update(f"{name}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def _histograms(table: Mapping[str, tuple[str, list[Outputs]]]) -> Histograms:
    return {
        name: {part: Histogram.of(np.concatenate([confidence(*o.of(part)) for o in of])) for part in PARTS}
        for name, (_, of) in table.items()
    }


def _sizes(outputs: Outputs) -> str:
    return ", ".join(f"{len(outputs.labels[part])} {part}" for part in SETS if part in outputs.labels)
