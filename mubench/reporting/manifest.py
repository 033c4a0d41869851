"""manifest.json: all that a folder of results says about its table but the numbers, checked strictly."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from mubench.errors import UsageError, one_line
from mubench.planning.suite import HEADLINE
from mubench.reporting.columns import Column, Columns
from mubench.storage.files import write_atomic
from mubench.version import __version__

FILE = "manifest.json"
_LONGEST = 300

Line = Annotated[str, BeforeValidator(lambda text: one_line(text) if isinstance(text, str) else text)]
Key = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class ManifestRow(BaseModel):
    """A row of the table: its cells' keys by seed, or a status and the reason why there are none.

    target: the row that it is compared with, where that is not the table's reference but its own Retrain.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, from_attributes=True)

    name: Annotated[Line, Field(min_length=1)]
    role: Literal["reference", "baseline", "floor", "method", "aside"]
    keys: dict[Seed, Key] = {}
    status: Literal["", "FAILED", "missing", "skipped"] = ""
    reason: Line = ""
    parameters: dict[str, Any] = {}
    target: Line = ""

    @model_serializer(mode="wrap")
    def _as_written(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A target that there is not is no fact: manifests that were written before it stay the same."""
        return {key: value for key, value in plain(self).items() if (key, value) != ("target", "")}

    @model_validator(mode="after")
    def _cells_or_reason(self) -> Self:
        if bool(self.keys) == bool(self.status):
            raise ValueError("a row has either keys or a status")
        return self


def _check_table(rows: list[ManifestRow]) -> None:
    references = [row.name for row in rows if row.role == "reference"]
    if len(references) != 1:
        raise ValueError(f"a table needs exactly one row with the role 'reference', not {references}")
    names = Counter(row.name for row in rows)
    if twice := [name for name, count in names.items() if count > 1]:
        raise ValueError(f"two rows are called {twice[0]!r}")
    if lost := [row.target for row in rows if row.target and row.target not in names]:
        raise ValueError(f"a row is compared with {lost[0]!r}, which is not there")


class Manifest(BaseModel):
    """What a folder of results was made of.

    rows: those of the one table; where every class is forgotten in turn they are empty, and `classes`
    holds the rows of each class by its name. metrics: their options. columns: as the metrics declared
    them when the table was made. notes: the lines under the table; hardware: those that say where the
    records were made. margin: see `differences`, in points. headline: the attack that ranks. What else
    was written (suite, overrides, data, splits, ...) is kept as it is.
    """

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    title: Annotated[Line, Field(min_length=1)]
    notes: list[Line] = []
    hardware: list[Line] = []
    metrics: dict[str, dict[str, Any]] = {}
    margin: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    headline: Line = HEADLINE
    columns: list[Column] = []
    timed_apart: list[Line] = []
    rows: list[ManifestRow]
    classes: dict[Line, list[ManifestRow]] = {}

    @model_validator(mode="after")
    def _rows_or_classes(self) -> Self:
        if bool(self.rows) == bool(self.classes):
            raise ValueError("a manifest has either rows or classes")
        for rows in self.blocks.values():
            _check_table(rows)
        return self

    @property
    def blocks(self) -> dict[str, list[ManifestRow]]:
        """The rows of each class by its name, or of the one table under ""."""
        return self.classes or {"": self.rows}

    @property
    def keys(self) -> list[str]:
        """The keys of all cells."""
        return [key for rows in self.blocks.values() for row in rows for key in row.keys.values()]

    @property
    def shown(self) -> Columns:
        """The columns, with the Avg. Gap of the headline first."""
        return Columns(tuple(self.columns), self.headline)

    @property
    def captions(self) -> list[str]:
        """The lines under the legend."""
        return [*self.notes, *self.hardware]

    def with_columns(self, columns: Columns) -> Manifest:
        """The same with these columns besides its own, in place of those of the same name."""
        every = Columns.ordered([*self.columns, *columns.metrics])
        return self.model_copy(update={"columns": list(every.metrics)})

    def write(self, folder: Path) -> Path:
        """Write manifest.json into the folder."""
        facts = self.model_dump(mode="json") | {"mubench": __version__}
        for name in ("classes", "timed_apart"):
            if not facts[name]:
                del facts[name]
        write_atomic(folder / FILE, (json.dumps(_valid(facts), indent=1) + "\n").encode())
        return folder / FILE


def read_manifest(folder: Path) -> Manifest:
    """The manifest that lies in `folder`; UsageError if there is none or it is not one."""
    path = folder / FILE
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        reason = one_line(f"{place + ': ' if place else ''}{first['msg'].removeprefix('Value error, ')}")
        raise UsageError(f"{path}: not a manifest of mubench: {reason[:_LONGEST]}") from None


def _valid(value: Any) -> Any:
    """The value with every text valid Unicode: a file's name or an option may hold any bytes."""
    if isinstance(value, dict):
        return {_valid(k): _valid(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_valid(v) for v in value]
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def manifest_rows(rows: Iterable[Any]) -> list[ManifestRow]:
    """The planned rows as those of a manifest, a mask and the method after it among their parameters."""
    found = []
    for row in rows:
        facts = asdict(row) | {"role": str(row.role), "status": str(row.status)}
        del facts["composition"], facts["own"]
        facts["parameters"] |= row.composition.shown
        found.append(ManifestRow.model_validate(facts))
    return found
