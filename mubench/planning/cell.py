"""What to run, as plain data: it can be handed to another process as JSON and hashed into a key."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from pydantic import TypeAdapter

from mubench.api.dataset import DatasetSpec
from mubench.api.method import MethodSpec
from mubench.api.model import ModelSpec
from mubench.api.recipe import Recipe
from mubench.planning.composition import PLAIN, Composition
from mubench.planning.suite import Forget, SplitKind


class Stream(StrEnum):
    """What a cell's random streams are called; those of further Retrains: see `again`."""

    ORIGINAL = "original"
    UNLEARN = "unlearn"


def again(number: int) -> str:
    """What the random streams of the further Retrain with this number, from 1 on, are called."""
    return "again" if number == 1 else f"again {number}"


@dataclass(frozen=True)
class DataSetting:
    """What decides the images and their split, but for the forget set.

    options: of the dataset. digest: of the data that the cells' keys were made for.
    """

    dataset: DatasetSpec
    options: dict[str, Any]
    digest: str
    split: SplitKind
    val_percent: float


@dataclass(frozen=True)
class Setting:
    """What all cells of a block share."""

    data: DataSetting
    model: ModelSpec
    recipe: Recipe
    batch_size: int
    forget: Forget
    threads: int
    precision: Literal["fp32", "bf16"]
    device: str
    timeout: float | None
    compile: bool = False


@dataclass(frozen=True)
class Cell:
    """What to run. `stream` names the random streams.

    spec: the method, or None for training an original. original: the key of the original it starts
    from; empty for the reference, which starts anew. split: the digest of the split that the key was
    made for. composition: the method's mask and the method after it.
    alone: whether a record whose time others' work lengthened is to be made again.
    """

    key: str
    setting: Setting
    seed: int
    stream: str
    spec: MethodSpec | None = None
    parameters: dict[str, Any] | None = None
    original: str = ""
    split: str = ""
    composition: Composition = PLAIN
    alone: bool = False


CELL: TypeAdapter[Cell] = TypeAdapter(Cell)
DATA_SETTING: TypeAdapter[DataSetting] = TypeAdapter(DataSetting)
