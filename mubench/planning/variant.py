"""A row without a file, as a suite writes it: a method, other parameters, a mask, a method after it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, SerializerFunctionWrapHandler, model_serializer

from mubench.api.recipe import Strict


def _name(value: str) -> str:
    if not value.strip() or value != value.strip():
        raise ValueError("a name is not blank and neither begins nor ends with a blank")
    return value


Name = Annotated[str, AfterValidator(_name)]


class Part(Strict):
    """A mask or a method that a variant names, and the parameters to change."""

    name: str
    parameters: dict[str, Any] = {}


def _part(value: Any) -> Any:
    """A name alone is a part at its defaults."""
    return {"name": value} if isinstance(value, str) else value


class Variant(Strict):
    """A row without a file: a method with some parameters changed.

    mask: laid over every update of the method. then: a method that goes on from the result, without it.
    """

    name: Name
    base: str
    parameters: dict[str, Any] = {}
    mask: Annotated[Part | None, BeforeValidator(_part)] = None
    then: Annotated[Part | None, BeforeValidator(_part)] = None

    @model_serializer(mode="wrap")
    def _as_written(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A part that is not named is not a fact: manifests that were written before stay the same."""
        return {key: value for key, value in plain(self).items() if value is not None}

    @property
    def words(self) -> str:
        """What is put together, for a line under the table; "" of a plain row."""
        under = f" under the mask {self.mask.name}" if self.mask else ""
        after = f", then {self.then.name}" if self.then else ""
        return f"{self.name}: {self.base}{under}{after}." if under or after else ""
