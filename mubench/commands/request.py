"""What the user asked for, read and checked: from words to a suite and its plan."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mubench.api.method import MethodSpec
from mubench.api.outputs import SETS, Outputs
from mubench.discovery.find import Catalogue
from mubench.errors import UsageError
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
    publish: bool = False
    out: Path | None = None

    @cached_property
    def catalogue(self) -> Catalogue:
        """The plugins, those of `plugins` among them."""
        return Catalogue(self.plugins, self.store.root / "specs")

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
        """`out`, or results[/published]/<suite>[-profile][-custom-<digest of the overrides>]."""
        if self.out is not None:
            return self.out
        parts = [Path(self.suite).stem]
        if self.profile:
            parts.append(self.profile)
        if self.overrides:
            text = json.dumps(self.overrides, sort_keys=True)
            parts.append("custom-" + hashlib.sha256(text.encode()).hexdigest()[:6])
        home = Path("results") / "published" if self.publish else Path("results")
        return home / "-".join(parts)


def check_metrics(catalogue: Catalogue, options: Mapping[str, Mapping[str, Any]], where: str) -> None:
    """Try the metrics that a suite sets options for on four made-up images, before anything is trained."""
    logits, labels = np.eye(2, dtype=np.float32), np.arange(2)
    tiny = Outputs(dict.fromkeys(SETS, logits), dict.fromkeys(SETS, labels))
    place = f"{where}: [metrics]"
    chosen = {name: catalogue.metrics.find(name, place) for name in options}
    try:
        evaluate_row(chosen, [tiny], [tiny], options)
    except (ValueError, UsageError) as error:
        raise UsageError(f"{place}: {error}") from None


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
    catalogue = request.catalogue
    check_metrics(catalogue, loaded.metrics, str(path))
    extra = [spec for spec in catalogue.given if isinstance(spec, MethodSpec)]
    chosen = select(loaded, catalogue, _names(request.methods), extra)
    return harness.make_plan(chosen, catalogue, request.store, request.device, str(path))


def _marks(request: Request) -> dict[str, Any]:
    return {**({"profile": request.profile} if request.profile else {}), **request.overrides}
