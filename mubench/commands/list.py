"""`mubench list`: the methods, suites, datasets and metrics as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mubench.discovery import methods as discovery
from mubench.errors import printable, unknown
from mubench.planning import suite

Entry = dict[str, Any]


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else ""


def _methods(plugins: Sequence[Path]) -> list[Entry]:
    registry = discovery.load(plugins)
    entries: list[Entry] = []
    for spec in sorted(registry.methods.values(), key=lambda c: c.name.lower()):
        parameters = [{**asdict(p), "type": p.type_name} for p in spec.parameters]
        entries.append({**asdict(spec), "summary": _first_line(spec.doc), "parameters": parameters})
    entries += [
        {"name": n, "summary": f"cannot be loaded: {why}", "error": why} for n, why in registry.broken.items()
    ]
    return entries


def _suites(plugins: Sequence[Path]) -> list[Entry]:
    entries = []
    for name, path in suite.suite_files().items():
        loaded = suite.load(path)
        rows = [*loaded.methods, *(v.name for v in loaded.variants)]
        entry = {"name": name, "summary": loaded.title, "path": str(path), "rows": rows}
        entries.append({**entry, **loaded.model_dump(by_alias=True)})
    return entries


def _datasets(plugins: Sequence[Path]) -> list[Entry]:
    from mubench.discovery.datasets import datasets

    return [
        {
            "name": s.name,
            "summary": s.title,
            "doc": s.function.__doc__ or "",
            "options": s.options,
            "path": str(s.file),
        }
        for s in datasets().values()
    ]


def _metrics(plugins: Sequence[Path]) -> list[Entry]:
    from mubench.discovery.metrics import all_metrics

    return [
        {
            "name": m.name,
            "title": m.title,
            "summary": _first_line(m.doc),
            "doc": m.doc,
            "needs": m.needs,
            "options": m.options,
            "path": str(m.file),
        }
        for m in all_metrics().values()
    ]


KINDS = {"methods": _methods, "suites": _suites, "datasets": _datasets, "metrics": _metrics}


def listing(what: str, plugins: Sequence[Path] = ()) -> list[Entry]:
    """All entries of a kind, each with `name` and `summary`; UsageError for an unknown kind."""
    if what not in KINDS:
        raise unknown("list", what, KINDS)
    return KINDS[what](plugins)


def listing_text(entries: Sequence[Entry]) -> str:
    """A line per entry: its name and its summary."""
    width = max((len(e["name"]) for e in entries), default=0)
    return "\n".join(printable(f"{e['name']:<{width}}  {e['summary']}") for e in entries)
