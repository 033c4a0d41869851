"""`mubench check`: does a plugin honour the contract? Rule by rule, with the reason."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from mubench.api.dataset import DatasetSpec
from mubench.api.method import MethodSpec
from mubench.api.metric import MetricSpec
from mubench.api.model import ModelSpec
from mubench.api.spec import Spec
from mubench.discovery.find import Catalogue, load_plugin
from mubench.errors import UsageError, one_line, printable, unknown
from mubench.running.isolation import CAN_FORK, ChildDiedError, run_forked
from mubench.running.rules import Verdict, check_rules
from mubench.running.rules_beside import check_dataset, check_metric, check_model
from mubench.storage.store import default_store

if TYPE_CHECKING:
    from rich.console import Console

# Seconds until a plugin that does not come to an end is stopped.
PATIENCE = 120.0
KINDS = ("methods", "metrics", "datasets", "models")
_VERDICTS: TypeAdapter[list[Verdict]] = TypeAdapter(list[Verdict])
_LOADS = "declares itself with typed parameters and known keywords"


@dataclass(frozen=True)
class Checked:
    """A plugin and how it stands with each rule."""

    name: str
    noun: str
    file: str
    verdicts: list[Verdict]

    @property
    def failed(self) -> int:
        """How many rules it breaks."""
        return sum(v.status == "FAIL" for v in self.verdicts)


def check_plugins(target: str, console: Console, as_json: bool = False) -> int:
    """Print the rules of every plugin in a file, or of that name; 1 if any is broken.

    Raises UsageError for a file without a plugin, one that cannot be read, or a name that does not exist.
    """
    checked = _checked(target)
    if as_json:
        console.print_json(json.dumps([asdict(one) for one in checked], ensure_ascii=False))
    else:
        for one in checked:
            _print(one, console)
    return int(any(one.failed for one in checked))


def _checked(target: str) -> list[Checked]:
    """Each plugin of the file or name, checked."""
    path = Path(target)
    if path.suffix == ".toml":
        raise UsageError(f"{path} is a suite, no plugin: mubench plan --suite {path} checks it")
    if path.suffix != ".py" and len(path.parts) < 2:
        return [_check(spec) for spec in _named(target)]
    try:
        specs = load_plugin(path)
    except UsageError as error:
        if not _is_declaration(error.__cause__):
            raise
        reason = one_line(str(error.__cause__))
        return [Checked(path.stem, "plugin", str(path), [Verdict(_LOADS, "FAIL", reason)])]
    families = {(spec.noun, spec.function): spec for spec in reversed(specs)}  # one of a family is enough
    return [_check(spec) for spec in specs if families[spec.noun, spec.function] is spec]


def _is_declaration(error: BaseException | None) -> bool:
    """Whether a declaration refused its function, as `@method` does for a parameter without a type."""
    if not isinstance(error, TypeError | ValueError) or error.__traceback__ is None:
        return False
    last = error.__traceback__
    while last.tb_next is not None:
        last = last.tb_next
    return str(last.tb_frame.f_globals.get("__name__", "")).startswith("mubench.api.")


def _named(name: str) -> list[Spec]:
    catalogue = Catalogue(cache=default_store() / "specs")
    found: Mapping[str, Mapping[str, Any]] = {kind: getattr(catalogue, kind) for kind in KINDS}
    specs = [of_kind[name] for of_kind in found.values() if name in of_kind]
    if not specs:
        raise unknown("plugin", name, [known for of_kind in found.values() for known in of_kind])
    return specs


def _check(spec: Spec) -> Checked:
    """Check a plugin in a process of its own, which it may harm."""
    loads = Verdict(_LOADS, "pass")

    def work() -> bytes:
        return _VERDICTS.dump_json(list(_verdicts(spec)))

    if not CAN_FORK:
        return Checked(spec.name, spec.noun, spec.path, [loads, *_verdicts(spec)])
    try:
        verdicts = _VERDICTS.validate_json(run_forked(work, timeout=PATIENCE))
    except ChildDiedError as death:
        verdicts = [Verdict("comes to an end and leaves the process alone", "FAIL", str(death))]
    return Checked(spec.name, spec.noun, spec.path, [loads, *verdicts])


def _verdicts(spec: Spec) -> Sequence[Verdict]:
    match spec:
        case MethodSpec():
            return check_rules(spec)
        case MetricSpec():
            return check_metric(spec)
        case DatasetSpec():
            return check_dataset(spec)
        case ModelSpec():
            return check_model(spec)
    raise AssertionError(spec)


def _print(one: Checked, console: Console) -> None:
    console.print(printable(f"{one.noun} {one.name} ({one.file})"))
    for verdict in one.verdicts:
        if verdict.status == "advice":
            continue
        ending = f": {verdict.reason}" if verdict.reason else ""
        console.print(printable(f"  {verdict.status}  {verdict.rule}{ending}"))
    tips = [v for v in one.verdicts if v.status == "advice"]
    for tip in tips:
        console.print(printable(f"  advice  {tip.rule}: {tip.reason}"))
    count = sum(v.status in ("pass", "FAIL") for v in one.verdicts)
    said = f"{one.failed} of {count} rules broken" if one.failed else f"all {count} rules hold"
    console.print(f"{said}\n")
