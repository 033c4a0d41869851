"""How originals and Retrain are trained."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Strict(BaseModel):
    """A table in which an unknown key or a wrong type is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Recipe(Strict):
    """How originals and Retrain are trained: SGD, learning rate divided at milestones (epochs)."""

    epochs: int = Field(182, ge=1, le=1_000_000)
    lr: Positive = 0.1
    momentum: float = Field(0.9, ge=0, lt=1)
    decay: float = Field(5e-4, ge=0, allow_inf_nan=False)
    milestones: list[Annotated[int, Field(ge=1, le=1_000_000)]] = [91, 136]
    gamma: Positive = 0.1
