"""What decides the outcome of a cell, and so its key: change one of these facts and it is another cell.

A key is `key_of` these facts. What does not decide an outcome (titles, notes, other rows, time limits) is
not in it, so suites share records.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import metadata
from typing import Any

from mubench.api.method import MethodSpec
from mubench.planning.cell import Own, Setting
from mubench.planning.composition import PLAIN, Composition
from mubench.planning.splits import Partition, Split
from mubench.version import NUMERICS


@cache
def torch_version() -> str:
    """Of the torch that is installed; finding it out takes milliseconds, and every original asks."""
    return metadata.version("torch")


def original_facts(
    setting: Setting,
    partition: Partition,
    processor: Mapping[str, Any],
    seed: int,
    own: Own | None = None,
) -> dict[str, Any]:
    """What decides the weights of an original: all that its methods share, but no forget set.

    processor: of the machine, from `planning.device`. own: of whose kind it is, if not the usual one.
    """
    digests = partition.digests
    return {
        "numerics": NUMERICS,
        "torch": torch_version(),
        "processor": processor,
        "data": setting.data.digest,
        # validation images normalise, test images are among the outputs
        "split": [digests["val"], digests["test"], digests.get("original", digests["train"])],
        "model": [setting.model.name, setting.model.source],
        "recipe": setting.recipe.model_dump(),
        "batch_size": setting.batch_size,
        "precision": setting.precision,
        "device": setting.device,
        "threads": setting.threads if setting.device == "cpu" else 0,
        "original": seed,
        **({"compile": True} if setting.compile else {}),
        **({"own": own.facts} if own else {}),
    }


def method_facts(
    original: str,
    split: Split,
    spec: MethodSpec,
    parameters: Mapping[str, Any],
    seed: int,
    stream: str,
    composition: Composition = PLAIN,
) -> dict[str, Any]:
    """What decides the outputs of a method that starts from the original with the key `original`."""
    return {
        "original": original,
        "split": split.digest,
        "forgotten": list(split.forgotten),
        "method": [spec.source, spec.function],
        "parameters": parameters,
        "seed": seed,
        "run": stream,
        **composition.facts,
    }
