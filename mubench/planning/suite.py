"""What a suite says, read strictly: a wrong key, type or value is refused with its place.

A suite is TOML. Profiles and overrides are merged into the raw table first, so that everything is
checked once, as one whole.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from mubench.api.recipe import Positive, Recipe, Strict
from mubench.discovery.suites import suite_files
from mubench.errors import UsageError, quote, suggest_file, suggestion, unknown
from mubench.paper import settings
from mubench.planning.plain import check_plain
from mubench.planning.variant import Name, Part, Variant

Percent = Annotated[float, Field(gt=0, lt=100, allow_inf_nan=False)]
Precision = Literal["auto", "fp32", "bf16"]
SplitKind = Literal["clean", "salun-legacy"]
# forget.class = "all": one forget set for every class of the dataset, in one run.
EVERY: Final = "all"
# How much of the training images is held back for validation.
VAL_PERCENT: Final = 10.0
# What the table of every class calls its last block.
MEAN: Final = "mean"
# The headline attack of a suite that names none: on few images, the threshold attack's threshold is noise.
HEADLINE: Final = "mia_svc"


def _count(value: Any) -> Any:
    """`true` is one, `false` none."""
    return int(value) if isinstance(value, bool) else value


# How many further Retrains a seed has.
Further = Annotated[int, BeforeValidator(_count), Field(ge=0, le=1000)]


class RandomForget(Strict):
    """Forget a share of the training images, drawn uniformly: by each of the suite's seeds, or by `seed`."""

    scenario: Literal["random"]
    percent: Percent
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None

    @model_serializer(mode="wrap")
    def _as_written(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A seed that is not given is not a fact: manifests that were written before it stay the same."""
        return {key: value for key, value in plain(self).items() if value is not None}


def _class(value: Any) -> Any:
    """A class as a suite names it; one message for all else, where pydantic would report a union's parts."""
    if (isinstance(value, str) and value) or (type(value) is int and value >= 0):
        return value
    raise ValueError(f'a class is its number, from 0 on, its name, or "{EVERY}" for every class in turn')


class ClassForget(Strict):
    """Forget all training images of one class, given by its number or name, or of every class in turn."""

    scenario: Literal["class"]
    target: Annotated[int | str, BeforeValidator(_class)] = Field(alias="class")


class IndicesForget(Strict):
    """Forget the training images that a file lists, one dataset index a line."""

    scenario: Literal["indices"]
    file: str


Forget = Annotated[RandomForget | ClassForget | IndicesForget, Field(discriminator="scenario")]


class Suite(Strict):
    """One benchmark: data, model, forget sets, seeds, the rows and their hyper-parameters."""

    title: Name
    paper: str | None = None
    settings: str | None = None
    dataset: str
    data: dict[str, Any] = {}
    model: str
    seeds: list[Annotated[int, Field(ge=0, lt=2**63)]] = Field(min_length=1)
    forget: Forget
    split: SplitKind = "clean"
    val_percent: Percent = VAL_PERCENT
    batch_size: int = Field(256, ge=1, le=1_000_000)
    threads: int = Field(1, ge=1, le=1024)
    precision: Precision = "auto"
    compile: bool = False
    floor: Further = 1
    margin: Positive = 1.0
    headline: str = HEADLINE
    timeout: Annotated[Positive, Field(le=1e8)] | None = None
    tuning: str = ""
    original: Recipe = Recipe()
    methods: dict[str, dict[str, Any]]
    variants: list[Variant] = []
    metrics: dict[str, dict[str, Any]] = {}
    notes: list[str] = []

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed is named twice")
        return seeds

    @field_validator("methods", mode="before")
    @classmethod
    def _listed(cls, methods: Any) -> Any:
        """A plain list of names is a table of empty overrides."""
        if isinstance(methods, list):
            if len(set(map(str, methods))) < len(methods):
                raise ValueError("a method is named twice")
            return {str(name): {} for name in methods}
        return methods

    @model_validator(mode="after")
    def _rows_differ(self) -> Suite:
        names = [*self.methods, *(v.name for v in self.variants)]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"two rows are called {twice[0]!r}")
        return self


def find(suite: str) -> Path:
    """The file of a suite given by name or path; UsageError if there is none."""
    known = suite_files()
    if suite in known:
        return known[suite]
    path = Path(suite)
    try:
        if path.is_dir():
            raise UsageError(f"suite {quote(suite)} is a folder; give a suite's name or its TOML file")
        if path.is_file():
            return path
    except OSError as error:  # a name too long for any file
        raise UsageError(f"suite {quote(suite)}: {error.strerror}") from None
    if path.suffix == ".toml" or len(path.parts) > 1:
        raise UsageError(f"suite {quote(suite)}: there is no such file.{suggest_file(path)}")
    raise unknown("suite", suite, known)


def profiles(path: Path) -> list[str]:
    """The names of a suite's profiles."""
    return list(tomllib.loads(path.read_text(encoding="utf-8")).get("profiles", {}))


def merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `change` over it, table by table; lists and values are replaced."""
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        if key == "methods" and isinstance(old, list) and isinstance(value, Mapping):
            old = {str(name): {} for name in old}
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        # a forget set of another scenario shares no keys with the old one
        if both and key == "forget" and value.get("scenario", old["scenario"]) != old["scenario"]:  # type: ignore
            both = False
        merged[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def parse_set(text: str, option: str = "--set") -> dict[str, Any]:
    """`a.b=value` as a nested table; the value is TOML, or else a plain string. option: who errors name."""
    key, equals, value = text.partition("=")
    parts = [p.strip() for p in key.split(".")]
    if not equals or not all(parts):
        raise UsageError(f"{option} {quote(text)}: write key=value, for example --set methods.FT.lr=0.02")
    try:
        parsed: Any = tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{option} {quote(text)}: {_unreadable(error)}") from None
    for part in reversed(parts):
        parsed = {part: parsed}
    table: dict[str, Any] = parsed
    return table


def _unreadable(error: Exception) -> str:
    """What is wrong with TOML that Python cannot read."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return f"not valid TOML: {error}" if type(error) is not ValueError else "a number has too many digits"


def _keys_at(model: type[BaseModel], path: Sequence[Any]) -> list[str]:
    """The keys a table of the suite may hold, for suggestions."""
    tables: dict[str, type[BaseModel]] = {
        "original": Recipe,
        "variants": Variant,
        "mask": Part,
        "then": Part,
        "random": RandomForget,
        "class": ClassForget,
        "indices": IndicesForget,
    }
    for part in path:
        if isinstance(part, str):
            model = tables.get(part, model)
    return [f.alias or name for name, f in model.model_fields.items()]


def _explain(error: ValidationError, where: str) -> UsageError:
    first = error.errors()[0]
    path = list(first["loc"])
    scenario = path[1] if len(path) > 1 and path[0] == "forget" else None
    key = ".".join(str(p) for i, p in enumerate(path) if not (scenario is not None and i == 1))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        known = _keys_at(Suite, path[:-1])
        if len(path) == 1:
            known.append("profiles")
        return UsageError(f"{where}: unknown key {quote(key)}.{suggestion(str(path[-1]), known)}")
    if first["type"] == "missing":
        return UsageError(f"{where}: the key {quote(key)} is missing")
    if first["type"].startswith("union_tag"):
        return UsageError(
            f"{where}: forget needs scenario = one of 'random', 'class', 'indices', got "
            f"{quote(first['input'])}"
        )
    shown = "" if first["type"] == "value_error" and not path else f" (got {quote(first['input'])})"
    return UsageError(f"{where}: {quote(key)[1:-1] + ': ' if key else ''}{message}{shown}")


def check(raw: Mapping[str, Any], where: str) -> Suite:
    """A raw table as a Suite; UsageError naming `where` and the key if it is wrong."""
    check_plain(raw, where)
    try:
        suite = Suite.model_validate({k: v for k, v in raw.items() if k != "profiles"})
    except ValidationError as error:
        raise _explain(error, where) from None
    if suite.settings is None:
        return suite
    known = settings(suite.settings, where)
    methods = {name: {**known.get(name, {}), **given} for name, given in suite.methods.items()}
    return suite.model_copy(update={"methods": methods})


def load(path: Path, profile: str | None = None, changes: Sequence[Mapping[str, Any]] = ()) -> Suite:
    """Read a suite's file, apply a profile and overrides, and check the result strictly."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: {_unreadable(error)}") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    if not raw:
        raise UsageError(f"{path}: the suite is empty; see `mubench list suites` for examples")
    profiles = raw.get("profiles", {})
    if not isinstance(profiles, Mapping) or not all(isinstance(p, Mapping) for p in profiles.values()):
        raise UsageError(f"{path}: profiles must be tables, as [profiles.small]")
    if profile is not None:
        if profile not in profiles:
            raise UsageError(f"{path}: unknown profile {quote(profile)}.{suggestion(profile, profiles)}")
        raw = merge(raw, profiles[profile])
    for change in changes:
        raw = merge(raw, change)
    return check(raw, str(path))
