"""The metrics and histograms of a row, each computed once and then read from the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import mubench.api.outputs
import mubench.api.scores
from mubench.api.metric import MetricSpec
from mubench.api.outputs import Outputs
from mubench.api.scores import confidence
from mubench.discovery.source import packages, source_digest
from mubench.reporting import histograms
from mubench.reporting.evaluate import Beside, Options, check_outputs, evaluate_metric, merge_values
from mubench.reporting.histograms import PARTS, Histogram
from mubench.storage.files import key_of
from mubench.storage.store import Record, Store

# What hands a record's outputs to every metric.
_BASE = (mubench.api.outputs, mubench.api.scores)
# Import name -> distribution of the libraries on which numbers can rest.
_LIBRARIES = {"numpy": "numpy", "scipy": "scipy", "sklearn": "scikit-learn"}


def row_values(
    records: Sequence[Record],
    beside: Beside,
    store: Store,
    metrics: Mapping[str, MetricSpec],
    options: Options,
) -> list[dict[str, float]]:
    """All values of a row, a dict per record; beside: the records that it is measured with, by seed.

    Raises ValueError, naming the metric, for whatever a metric raises.
    """
    values: list[dict[str, float]] = [{} for _ in records]
    read: dict[str, Outputs] = {}

    def outputs_of(some: Sequence[Any]) -> list[Any]:
        """The outputs in place of records, each read once and only if a metric is new."""
        return [_outputs(one, read) if isinstance(one, Record) else outputs_of(one) for one in some]

    for name, spec, given, key in _wanted(records, beside, metrics, options):
        result = store.cached_json("metrics", key)
        if result is None:
            rows, others = outputs_of(records), {other: outputs_of(beside[other]) for other in spec.beside}
            try:
                result = evaluate_metric(spec, rows, others, given)
            except Exception as error:  # a plugin may raise anything
                raise ValueError(f"metric {name!r}: {type(error).__name__}: {error}") from error
            store.save_json("metrics", key, result)
        merge_values(values, name, result)
    return values


def cached_values(
    records: Sequence[Record],
    beside: Beside,
    store: Store,
    metrics: Mapping[str, MetricSpec],
    options: Options,
) -> list[dict[str, float]] | None:
    """What `row_values` returns, if all of it is in the store and it raises nothing; else None."""
    values: list[dict[str, float]] = [{} for _ in records]
    for name, *_, key in _wanted(records, beside, metrics, options):
        result = store.cached_json("metrics", key)
        if result is None:
            return None
        try:
            merge_values(values, name, result)
        except ValueError:
            return None
    return values


def _wanted(
    records: Sequence[Record], beside: Beside, metrics: Mapping[str, MetricSpec], options: Options
) -> Iterator[tuple[str, MetricSpec, Mapping[str, Any], str]]:
    """Name, spec, options and key in the store of each metric that a row can have."""
    cells = key_of(_keys_of(records))
    others = {name: key_of(_keys_of(of)) for name, of in beside.items() if of}
    for name, spec in metrics.items():
        if records and all(other in others for other in spec.beside):
            given = options.get(name, {})
            yield name, spec, given, key_of(_facts(spec, given, cells, others))


def histograms_of(keys: Sequence[str], store: Store) -> dict[str, Histogram] | None:
    """By set, the histogram of all these cells together; None if one of their records is damaged."""
    file = Path(histograms.__file__)
    facts = {
        "histograms": [source_digest(file), *_base()],
        "libraries": _libraries(file),
        "cells": list(keys),
    }
    place = key_of(facts)
    saved = store.cached_json("metrics", place)
    if saved is None:
        records = [record for key in keys if (record := store.get(key))]
        if len(records) < len(keys):  # one of them was damaged
            return None
        outputs = [record.outputs() for record in records]
        found = {p: Histogram.of(np.concatenate([confidence(*o.of(p)) for o in outputs])) for p in PARTS}
        saved = {part: [one.first, list(one.counts)] for part, one in found.items()}
        store.save_json("metrics", place, saved)
    return {part: Histogram(first, tuple(counts)) for part, (first, counts) in saved.items()}


def _outputs(record: Record, read: dict[str, Outputs]) -> Outputs:
    key = record.about["key"]
    if key not in read:
        outputs = record.outputs()
        check_outputs(outputs)
        read[key] = outputs
    return read[key]


def _keys_of(some: Sequence[Any]) -> list[Any]:
    """The keys in place of records."""
    return [one.about["key"] if isinstance(one, Record) else _keys_of(one) for one in some]


def _facts(
    spec: MetricSpec, options: Mapping[str, Any], cells: str, beside: Mapping[str, str]
) -> dict[str, Any]:
    """Everything that decides a metric's values. cells, beside: the digests of `_keys_of` the records."""
    return {
        "metric": [spec.name, spec.function, spec.source],
        "base": _base(),
        "libraries": _libraries(Path(spec.path)),
        "options": dict(options),
        "cells": cells,
        **{name: beside[name] for name in spec.beside},
    }


@lru_cache
def _base() -> list[str]:
    """The digests of `_BASE`."""
    return [source_digest(Path(str(module.__file__))) for module in _BASE]


@lru_cache
def _libraries(path: Path) -> dict[str, str]:
    """The versions of numpy, and of scipy and scikit-learn where a metric's files import them."""
    names = {"numpy", *packages(path)} & set(_LIBRARIES)
    return {name: version(_LIBRARIES[name]) for name in sorted(names)}
