"""What to run, as plain data: it can be handed to another process as JSON and hashed into a key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from pydantic import TypeAdapter

from mubench.api.dataset import DatasetSpec
from mubench.api.mask import MaskSpec
from mubench.api.method import MethodSpec
from mubench.api.model import ModelSpec
from mubench.api.recipe import Recipe
from mubench.planning.composition import PLAIN, Composition
from mubench.planning.suite import Forget, SplitKind


class Stream(StrEnum):
    """What a cell's random streams are called; those of further Retrains: see `again`."""

    ORIGINAL = "original"
    UNLEARN = "unlearn"
    RETRAIN = "retrain"  # of a method's own Retrain: it must not share draws with the method


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
class Own:
    """An original of a method's own kind: the method, and the parameters of the function that trains it."""

    spec: MethodSpec
    parameters: dict[str, Any]

    @classmethod
    def of(cls, spec: MethodSpec, parameters: Mapping[str, Any]) -> Own | None:
        """That of a method with these parameters; None for one that starts from the usual original."""
        return cls(spec, {n: parameters[n] for n in spec.original.parameters}) if spec.original else None

    @property
    def facts(self) -> dict[str, Any]:
        """What decides its weights, beside what decides those of any original."""
        function = self.spec.original.function if self.spec.original else ""
        return {"source": [self.spec.source, function], "parameters": self.parameters}

    @property
    def about(self) -> dict[str, Any]:
        """What a record says."""
        return {"name": self.spec.name, "parameters": self.parameters}


@dataclass(frozen=True)
class Cell:
    """What to run. `stream` names the random streams.

    spec: the method, or None for training an original. original: the key of the original it starts
    from; empty for the reference, which starts anew. own: whose kind of original that is, or that is trained;
    the reference with it is that method's Retrain. split: the digest of the split that the key was
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
    own: Own | None = None

    @property
    def specs(self) -> tuple[MethodSpec | MaskSpec, ...]:
        """All plugins whose code it runs as, or beside, its method."""
        parts = (part.spec for part in self.composition.parts.values())
        specs = (self.spec, self.own.spec if self.own else None, *parts)
        return tuple(spec for spec in specs if spec is not None)


CELL: TypeAdapter[Cell] = TypeAdapter(Cell)
DATA_SETTING: TypeAdapter[DataSetting] = TypeAdapter(DataSetting)
