"""`mubench list`: the plugins of a kind, or the suites, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mubench.discovery.find import Catalogue, Found
from mubench.discovery.suites import suite_files
from mubench.errors import printable, unknown
from mubench.planning import suite
from mubench.storage.store import default_store

Entry = dict[str, Any]


def _plugins(found: Found[Any]) -> list[Entry]:
    entries = [
        {
            **asdict(spec),
            "summary": getattr(spec, "title", "") if found.noun == "dataset" else spec.summary,
            "parameters": [{**asdict(p), "type": p.type_name} for p in spec.parameters],
        }
        for spec in sorted(found.values(), key=lambda s: s.name.lower())
    ]
    return entries + [
        {"name": name, "summary": f"cannot be loaded: {why}", "error": why}
        for name, why in found.broken.items()
    ]


def _suites() -> list[Entry]:
    entries = []
    for name, path in suite_files().items():
        loaded = suite.load(path)
        rows = [*loaded.methods, *(v.name for v in loaded.variants)]
        entry = {"name": name, "summary": loaded.title, "path": str(path), "rows": rows}
        entries.append({**entry, **loaded.model_dump(by_alias=True)})
    return entries


KINDS = ("methods", "masks", "metrics", "datasets", "models", "engines", "trackers", "suites")


def listing(what: str, plugins: Sequence[Path] = ()) -> list[Entry]:
    """All entries of a kind, each with `name` and `summary`; UsageError for an unknown kind."""
    if what not in KINDS:
        raise unknown("list", what, KINDS)
    if what == "suites":
        return _suites()
    return _plugins(getattr(Catalogue(plugins, default_store() / "specs"), what))


def listing_text(entries: Sequence[Entry]) -> str:
    """A line per entry: its name and its summary."""
    width = max((len(e["name"]) for e in entries), default=0)
    return "\n".join(printable(f"{e['name']:<{width}}  {e['summary']}") for e in entries)
