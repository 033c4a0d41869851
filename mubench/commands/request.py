"""What the user asked for, read and checked: from words to a suite and its plan."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mubench.api.outputs import SETS, Outputs
from mubench.discovery import methods as registry
from mubench.discovery.metrics import all_metrics
from mubench.errors import UsageError, unknown
from mubench.planning import plan as harness
from mubench.planning import suite
from mubench.planning.rows import select
from mubench.reporting.evaluate import evaluate_row
from mubench.storage.store import Store


@dataclass(frozen=True)
class Request:
    """What the user asked for; the fields are the options of `mubench run`."""

    suite: str
    store: Store
    methods: str | None = None
    seeds: int | None = None
    plugins: tuple[Path, ...] = ()
    profile: str | None = None
    sets: tuple[str, ...] = ()
    device: str = "auto"
    precision: str | None = None
    jobs: int | None = None
    exclusive_timing: bool = False
    out: Path | None = None

    @property
    def overrides(self) -> dict[str, Any]:
        """What makes this run another one than the suite's own, for its manifest and folder."""
        asked = {
            "methods": self.methods,
            "seeds": self.seeds,
            "plugins": [p.name for p in self.plugins],
            "set": list(self.sets),
            "precision": self.precision,
        }
        return {k: v for k, v in asked.items() if v}

    @property
    def folder(self) -> Path:
        """`out`, or results/<suite>, with the profile's name and a mark if anything was overridden."""
        if self.out is not None:
            return self.out
        parts = [Path(self.suite).stem]
        if self.profile:
            parts.append(self.profile)
        if self.overrides:
            text = json.dumps(self.overrides, sort_keys=True)
            parts.append("custom-" + hashlib.sha256(text.encode()).hexdigest()[:6])
        return Path("results") / "-".join(parts)


def _check_metrics(options: Mapping[str, Mapping[str, Any]], where: str) -> None:
    """Try the metrics that a suite sets options for on four made-up images, before anything is trained."""
    known = all_metrics()
    logits, labels = np.eye(2, dtype=np.float32), np.arange(2)
    tiny = Outputs(dict.fromkeys(SETS, logits), dict.fromkeys(SETS, labels))
    for name in options:
        if name not in known:
            raise unknown("metric", name, known, f"{where}: [metrics]")
    try:
        chosen = {name: known[name] for name in options}
        evaluate_row(chosen, [tiny], [tiny], options)
    except ValueError as error:
        raise UsageError(f"{where}: [metrics]: {error}") from None


def _names(methods: str | None) -> list[str]:
    names = [n.strip() for n in methods.split(",") if n.strip()] if methods else []
    if methods is not None and not names:
        raise UsageError("--methods names no method")
    if twice := [n for n in names if names.count(n) > 1]:
        raise UsageError(f"--methods names {twice[0]!r} twice")
    return names


def read(request: Request) -> tuple[Path, suite.Suite]:
    """The suite's file, and what it says with the profile and the overrides applied."""
    path = suite.find(request.suite)
    changes = [suite.parse_set(s) for s in request.sets]
    if request.precision is not None:
        changes.append({"precision": request.precision})
    return path, suite.load(path, request.profile, changes)


def prepare(request: Request) -> harness.Plan:
    """Read the suite and everything it names; UsageError for whatever is wrong."""
    path, loaded = read(request)
    if request.seeds is not None:
        if not 0 < request.seeds <= len(loaded.seeds):
            raise UsageError(
                f"--seeds {request.seeds}: the suite has {len(loaded.seeds)} seeds; ask for 1 to that"
            )
        loaded = loaded.model_copy(update={"seeds": loaded.seeds[: request.seeds]})
    _check_metrics(loaded.metrics, str(path))
    known = registry.load(request.plugins, request.store.root / "specs")
    names = _names(request.methods)
    given = {p.resolve() for p in request.plugins}
    extra = [c for c in known.methods.values() if Path(c.path) in given and not c.module]
    chosen = select(loaded, known, names, extra)
    return harness.make_plan(chosen, known, request.store, request.device, str(path))


def _marks(request: Request) -> dict[str, Any]:
    return {**({"profile": request.profile} if request.profile else {}), **request.overrides}
