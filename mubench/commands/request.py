"""What the user asked for, read and checked: from words to a suite and its plan."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mubench.api.engine import EngineSpec
from mubench.api.method import MethodSpec
from mubench.api.outputs import SETS, Outputs
from mubench.commands.reference import Reference, reference_file, with_reference
from mubench.discovery.find import Catalogue, load_function
from mubench.errors import UsageError, printable, quote
from mubench.planning import plan as planning
from mubench.planning import suite
from mubench.planning.device import default_jobs
from mubench.planning.plan import Plan
from mubench.planning.rows import select
from mubench.reporting.evaluate import evaluate_row
from mubench.running.engine import Engine
from mubench.storage.store import Store
from mubench.tuning.tuned import TunedFile, read_tuned

LOG = logging.getLogger(__name__)

# What git tracks of the results.
PUBLISHED = Path("results") / "published"
# The engine that needs nothing.
LOCAL = "local"


@dataclass(frozen=True)
class Request:
    """What the user asked for; the fields are the options of `mubench run`."""

    suite: str
    store: Store
    methods: str | None = None
    first_seeds: int | None = None
    plugins: tuple[Path, ...] = ()
    profile: str | None = None
    set_options: tuple[str, ...] = ()
    device: str = "auto"
    precision: str | None = None
    compiled: bool | None = None
    jobs: int | None = None
    engine: str = LOCAL
    address: str | None = None
    gpus_per_cell: float | None = None
    engine_set: tuple[str, ...] = ()
    exclusive_timing: bool = False
    publish: bool = False
    out: Path | None = None
    track: str | None = None
    reference: str | None = None
    tuned: Path | None = None

    def __post_init__(self) -> None:
        """UsageError for options that exclude each other."""
        if self.publish and self.out is not None:
            raise UsageError("--publish writes to results/published; leave out --out")

    @property
    def name(self) -> str:
        """The suite's name, for folders and manifests."""
        return Path(self.suite).stem

    @cached_property
    def catalogue(self) -> Catalogue:
        """The plugins, those of `plugins` among them."""
        return Catalogue(self.plugins, self.store.root / "specs")

    @cached_property
    def workforce(self) -> Engine:
        """The engine, with its options; UsageError for unknown ones, or if what it needs is not installed."""
        named = {"address": self.address, "gpus_per_cell": self.gpus_per_cell}
        given = {name: value for name, value in named.items() if value is not None}
        for text in self.engine_set:
            given |= suite.parse_set(text, "--engine-set")
        spec = self.catalogue.engines.find(self.engine)
        for name in given:
            having = [e.name for e in self.catalogue.engines.values() if _has(e, name)]
            if not _has(spec, name) and having:
                option = name.replace("_", "-")
                raise UsageError(
                    f"--{option} is no option of --engine {spec.name}, but of {', '.join(having)}"
                )
        made: Engine = load_function(spec)(**spec.bind(given, f"--engine {self.engine}"))
        return made

    @cached_property
    def tuned_file(self) -> TunedFile | None:
        """The file of `tuned`; UsageError if it is none."""
        return None if self.tuned is None else read_tuned(self.tuned)

    @property
    def overrides(self) -> dict[str, Any]:
        """What makes the numbers of this run other than the suite's own."""
        asked = {
            "methods": self.methods,
            "seeds": self.first_seeds,
            "plugins": [p.name for p in self.plugins],
            "set": list(self.set_options),
            "precision": self.precision,
            "tuned": self.tuned_file and self.tuned_file.marks,
        }
        if self.reference is not None:
            asked["reference"] = Path(self.reference).name
        compiled = {} if self.compiled is None else {"compile": self.compiled}
        return {**{k: v for k, v in asked.items() if v}, **compiled}

    @property
    def marks(self) -> dict[str, Any]:
        """The profile and the overrides, for the manifest."""
        return {**({"profile": self.profile} if self.profile else {}), **self.overrides}

    @property
    def pinned(self) -> dict[str, dict[str, Any]]:
        """Row -> the hyper-parameters that `set_options` give a value."""
        rows: dict[str, dict[str, Any]] = {}
        for text in self.set_options:
            methods = suite.parse_set(text).get("methods")
            if isinstance(methods, dict):  # a list of names gives none a value
                for row, given in methods.items():
                    rows.setdefault(row, {}).update(given)
        return rows

    @property
    def changes(self) -> list[dict[str, Any]]:
        """What the options change in the suite, in the order in which it is merged."""
        tuned = [{"methods": self.tuned_file.tuned.methods}] if self.tuned_file else []
        changes = [*tuned, *(suite.parse_set(text) for text in self.set_options)]
        if self.precision is not None:
            changes.append({"precision": self.precision})
        if self.compiled is not None:
            changes.append({"compile": self.compiled})
        return changes

    def folder_for(self, kind: str = "") -> Path:
        """`out`, or results[/published]/<suite>[-profile][-custom-<digest of the overrides>][-kind]."""
        if self.out is not None:
            return self.out
        parts = [self.name]
        if self.profile:
            parts.append(self.profile)
        if self.overrides:
            text = json.dumps(self.overrides, sort_keys=True)
            parts.append("custom-" + hashlib.sha256(text.encode()).hexdigest()[:6])
        if kind:
            parts.append(kind)
        home = PUBLISHED if self.publish else PUBLISHED.parent
        return home / "-".join(parts)

    @property
    def folder(self) -> Path:
        """Where tables and plots go."""
        return self.folder_for()

    @property
    def most_jobs(self) -> int | None:
        """How many cells may run at once, where the options say so."""
        if self.exclusive_timing:
            return 1 if self.jobs is None else min(self.jobs, 1)
        return self.jobs

    def jobs_on(self, device: str, threads: int) -> int:
        """How many cells run at once on this machine."""
        return default_jobs(device, threads) if self.most_jobs is None else self.most_jobs


def check_metrics(catalogue: Catalogue, options: Mapping[str, Mapping[str, Any]], where: str) -> None:
    """Try the metrics that a suite sets options for on four made-up images, before anything is trained."""
    logits, labels = np.eye(2, dtype=np.float32), np.arange(2)
    tiny = Outputs(dict.fromkeys(SETS, logits), dict.fromkeys(SETS, labels))
    place = f"{where}: [metrics]"
    chosen = {name: catalogue.metrics.find(name, place) for name in options}
    try:
        evaluate_row(chosen, [tiny], [tiny], options, originals=[tiny], retrains=[[tiny]])
    except (ValueError, UsageError) as error:
        raise UsageError(f"{place}: {error}") from None


def check_headline(catalogue: Catalogue, headline: str, where: str) -> None:
    """UsageError, with all that there are, unless the headline is an attack that has an Avg. Gap."""
    attacks = sorted(s.name for s in catalogue.metrics.values() if s.gap == "attack")
    if headline not in attacks:
        known = ", ".join(attacks)
        raise UsageError(
            f"{where}: headline {quote(headline)} is no attack with an Avg. Gap; there are {known}"
        )


def _has(engine: EngineSpec, parameter: str) -> bool:
    return any(p.name == parameter for p in engine.parameters)


def _names(methods: str | None) -> list[str]:
    names = [n.strip() for n in methods.split(",") if n.strip()] if methods else []
    if methods is not None and not names:
        raise UsageError("--methods names no method")
    if twice := [n for n in names if names.count(n) > 1]:
        raise UsageError(f"--methods names {twice[0]!r} twice")
    return names


@dataclass(frozen=True)
class Choice:
    """A suite as the options change it.

    path: the suite's file. names: the rows that --methods names. plugins: the methods of --plugin files.
    """

    path: Path
    suite: suite.Suite
    names: list[str]
    plugins: list[MethodSpec]


def read_suite(request: Request) -> tuple[Path, suite.Suite]:
    """The suite's file, and the suite with the profile and the overrides applied."""
    path = suite.find(request.suite)
    loaded = suite.load(path, request.profile, request.changes)
    if request.tuned_file is not None:
        request.tuned_file.check(loaded, request.catalogue)
    return path, loaded


def read(request: Request) -> Choice:
    """Read the suite, the options of its metrics and the methods; UsageError for whatever is wrong."""
    path, loaded = read_suite(request)
    if request.first_seeds is not None:
        if not 0 < request.first_seeds <= len(loaded.seeds):
            raise UsageError(
                f"--first-seeds {request.first_seeds}: the suite has {len(loaded.seeds)} seeds; "
                "ask for 1 to that"
            )
        loaded = loaded.model_copy(update={"seeds": loaded.seeds[: request.first_seeds]})
    check_metrics(request.catalogue, loaded.metrics, str(path))
    check_headline(request.catalogue, loaded.headline, str(path))
    plugins = [spec for spec in request.catalogue.given if isinstance(spec, MethodSpec)]
    return Choice(path, loaded, _names(request.methods), plugins)


def keys_by_row(plan: Plan) -> dict[str, dict[int, str]]:
    """Name -> seed -> key of its cell: the original models, then each row, with the class it forgets."""
    originals = {cell.key: cell for cell in plan.cells if cell.spec is None}
    keys = {"original model": {cell.seed: cell.key for cell in originals.values() if cell.own is None}}
    start = {cell.key: cell.original for cell in plan.cells}
    for block in plan.blocks:
        ending = f" ({block.label})" if block.label else ""
        for row in (row for row in block.rows if row.own and row.role != "aside"):
            keys[f"original model of {row.name}"] = {seed: start[key] for seed, key in row.keys.items()}
        keys |= {f"{row.name}{ending}": row.keys for row in block.rows}
    return keys


def prepare(request: Request) -> Plan:
    """The plan of a run; UsageError for whatever is wrong."""
    choice = read(request)
    chosen = select(choice.suite, request.catalogue, choice.names, choice.plugins)
    if request.tuned_file is not None and not request.tuned_file.tuned.methods.keys() & chosen.methods.keys():
        names = printable(", ".join(request.tuned_file.tuned.methods))
        LOG.warning("%s changes no row of this run: it tunes %s", request.tuned_file.path, names)
    return planning.make_plan(chosen, request.catalogue, request.store, request.device, str(choice.path))


def prepare_with_reference(request: Request) -> tuple[Plan, Reference | None]:
    """The plan of a run, without the cells whose numbers the request's reference has."""
    if request.reference is None:
        return prepare(request), None
    file = reference_file(request.reference, suite.find(request.suite), request.profile)
    found = with_reference(prepare(request), file, request.store)
    return found.plan, found
