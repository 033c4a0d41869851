"""tuned.toml: what a search found and for which suite, written by `mubench tune`, applied by `--tuned`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mubench.discovery.find import Catalogue
from mubench.errors import UsageError, one_line, printable, quote
from mubench.planning.plain import check_plain
from mubench.planning.suite import Suite
from mubench.storage.files import read_text
from mubench.storage.toml import toml_key, toml_value

FILE = "tuned.toml"
_LARGEST = 1_000_000
# What makes hyper-parameters those of another suite. Which class or seed is forgotten does not.
_SETTING = ("dataset", "data", "model", "forget", "split", "val_percent", "batch_size", "original")
_ANY = ("forget.class", "forget.seed")


class Tuned(BaseModel):
    """What a tuned file says.

    how: a line for captions. suite: its name and its setting, key by key. methods: their parameters.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    how: Annotated[str, Field(min_length=1, max_length=500)]
    suite: dict[str, Any]
    methods: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]

    @classmethod
    def of(cls, name: str, suite: Suite, how: str, methods: Mapping[str, Mapping[str, Any]]) -> Tuned:
        """name: the suite's. methods: the parameters of each; where nothing was found, there is no file."""
        facts = {"name": printable(name), **setting(suite)}
        return cls(how=how, suite=facts, methods={m: dict(p) for m, p in methods.items()})

    def text(self) -> str:
        """The file's text; the tables of its methods can be pasted into a suite."""
        lines = [f"how = {toml_value(self.how)}", "", "[suite]"]
        lines += [f"{toml_key(k)} = {toml_value(v)}" for k, v in self.suite.items()]
        return "\n".join([*lines, "", methods_text(self.methods)])


@dataclass(frozen=True)
class TunedFile:
    """A tuned file that was read and checked."""

    path: Path
    tuned: Tuned

    def check(self, suite: Suite, catalogue: Catalogue) -> None:
        """UsageError if it is of another suite, or has methods or parameters that there are not."""
        mine, its = dict(_flat(setting(suite))), dict(_flat(self.tuned.suite))
        name = quote(its.pop("name", "another suite"))[1:-1]
        for key in [*mine, *(its.keys() - mine.keys())]:
            if key not in _ANY and mine.get(key) != its.get(key):
                then, now = (f"{key} = {quote(t[key])}" if key in t else f"no {key}" for t in (its, mine))
                raise UsageError(f"{self.path}: tuned on {name}, with {then}; here is {now}: tune this suite")
        for method, parameters in self.tuned.methods.items():
            spec = catalogue.methods.find(method, f"{self.path} (is it of a --plugin?)")
            spec.bind(parameters, f"{self.path}: [methods.{method}]")

    @property
    def marks(self) -> dict[str, Any]:
        """What a manifest says of it."""
        return {"file": self.path.name, "how": self.tuned.how, "methods": self.tuned.methods}


def read_tuned(path: Path) -> TunedFile:
    """The tuned file; UsageError, in one line, if it is none."""
    try:
        raw = tomllib.loads(read_text(path, _LARGEST))
        check_plain(raw, str(path))
        return TunedFile(path, Tuned.model_validate(raw))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key, what = quote(".".join(map(str, first["loc"]))), one_line(first["msg"])
        raise UsageError(
            f"{path}: not a tuned file of `mubench tune`: {key}: {what}; "
            "tables of an older tuning.toml belong into the suite's own file"
        ) from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not valid TOML: {one_line(str(error))}") from None


def methods_text(methods: Mapping[str, Mapping[str, Any]]) -> str:
    """The parameters as the tables of a suite's file."""
    lines = []
    for method, parameters in methods.items():
        lines.append(f"[methods.{toml_key(method)}]")
        # TOML has no None: it is the default of a parameter that may be none
        lines += [f"{toml_key(k)} = {toml_value(v)}" for k, v in sorted(parameters.items()) if v is not None]
        lines.append("")
    return "\n".join(lines)


def setting(suite: Suite) -> dict[str, Any]:
    """What of a suite its hyper-parameters depend on, as plain data."""
    return suite.model_dump(mode="json", by_alias=True, include=set(_SETTING), exclude_none=True)


def _flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
