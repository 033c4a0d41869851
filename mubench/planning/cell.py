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
from mubench.planning.suite import Forget, SplitKind


class Stream(StrEnum):
    """What a cell's random streams are called; AGAIN: the second, independent Retrain."""

    ORIGINAL = "original"
    UNLEARN = "unlearn"
    AGAIN = "again"


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


@dataclass(frozen=True)
class Cell:
    """What to run. `stream` names the random streams.

    spec: the method, or None for training an original. original: the key of the original it starts
    from. split: the digest of the split that the key was made for. shared: whether other cells of the
    run work meanwhile. alone: whether a record that was timed while others worked is to be made again.
    """

    key: str
    setting: Setting
    seed: int
    stream: Stream
    spec: MethodSpec | None = None
    parameters: dict[str, Any] | None = None
    original: str = ""
    split: str = ""
    shared: bool = False
    alone: bool = False


CELL: TypeAdapter[Cell] = TypeAdapter(Cell)
SETTING: TypeAdapter[Setting] = TypeAdapter(Setting)
