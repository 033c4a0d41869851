"""How originals and Retrain are trained."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Strict(BaseModel):
    """A table in which an unknown key or a wrong type is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Recipe(Strict):
    """How originals and Retrain are trained: SGD whose learning rate follows a schedule.

    schedule: "steps" multiplies `lr` by `gamma` at each of the `milestones` (epochs); "cosine" lowers it to 0
    along a half cosine and has no milestones. warmup: epochs in which it first rises from 0 in a line.
    """

    epochs: int = Field(182, ge=1, le=1_000_000)
    lr: Positive = 0.1
    momentum: float = Field(0.9, ge=0, lt=1)
    decay: float = Field(5e-4, ge=0, allow_inf_nan=False)
    milestones: list[Annotated[int, Field(ge=1, le=1_000_000)]] = [91, 136]
    gamma: Positive = 0.1
    schedule: Literal["steps", "cosine"] = "steps"
    warmup: int = Field(0, ge=0, le=1_000_000)

    @model_validator(mode="before")
    @classmethod
    def _without_milestones(cls, raw: Any) -> Any:
        """The default milestones belong to the schedule that has some."""
        if isinstance(raw, dict) and raw.get("schedule") == "cosine":
            return {"milestones": [], **raw}
        return raw

    @model_validator(mode="after")
    def _fits(self) -> Recipe:
        if self.schedule == "cosine" and self.milestones:
            raise ValueError('schedule = "cosine" has no milestones: write milestones = []')
        if self.warmup >= self.epochs:
            raise ValueError(f"warmup = {self.warmup} leaves nothing of {self.epochs} epochs")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What is at its default is no fact here: records that were made before these keys keep theirs."""
        absent = {"schedule": "steps", "warmup": 0}
        return {key: value for key, value in plain(self).items() if absent.get(key, ...) != value}
