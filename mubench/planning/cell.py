"""What to run, as plain data: it can be handed to another process as JSON and hashed into a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from mubench.api.method import MethodSpec
from mubench.api.recipe import Recipe
from mubench.planning.suite import Forget, SplitKind


@dataclass(frozen=True)
class Setting:
    """What all cells of a suite share; data_digest: of the data that their keys were made for."""

    dataset: str
    data: dict[str, Any]
    data_digest: str
    model: str
    recipe: Recipe
    batch_size: int
    val_percent: float
    split: SplitKind
    forget: Forget
    threads: int
    precision: Literal["fp32", "bf16"]
    device: str
    timeout: float | None
    compile: bool = False


@dataclass(frozen=True)
class Cell:
    """What to run. `stream` names the random streams: "original", "unlearn" or "again" (second Retrain).

    spec: the method, or None for training an original. original: the key of the original it starts
    from. split: the digest of the split that the key was made for. alone: whether a record whose time
    others' work lengthened is to be made again.
    """

    key: str
    setting: Setting
    seed: int
    stream: str
    spec: MethodSpec | None = None
    parameters: dict[str, Any] | None = None
    original: str = ""
    split: str = ""
    alone: bool = False


CELL: TypeAdapter[Cell] = TypeAdapter(Cell)
SETTING: TypeAdapter[Setting] = TypeAdapter(Setting)
