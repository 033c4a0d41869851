"""What there is: methods, suites, datasets and metrics, as plain data for `list` and `show`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mubench.discovery.find import Catalogue, Found
from mubench.discovery.suites import suite_files
from mubench.errors import unknown
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
        about = {"path": str(path), "rows": rows, **loaded.model_dump(by_alias=True)}
        entries.append({"name": name, "summary": loaded.title, **about})
    return entries


_KINDS = ("methods", "metrics", "datasets", "models", "suites")


def listing(what: str, plugins: Sequence[Path] = ()) -> list[Entry]:
    """All entries of a kind, each with `name` and `summary`; UsageError for an unknown kind."""
    if what not in _KINDS:
        raise unknown("list", what, _KINDS)
    if what == "suites":
        return _suites()
    return _plugins(getattr(Catalogue(plugins, default_store() / "specs"), what))


def detail(kind: str, name: str, plugins: Sequence[Path] = ()) -> Entry:
    """One entry; UsageError with the nearest name if there is none."""
    if f"{kind}s" not in _KINDS:
        raise unknown("kind", kind, [k.removesuffix("s") for k in _KINDS])
    entries = {e["name"]: e for e in listing(f"{kind}s", plugins)}
    if name not in entries:
        raise unknown(kind, name, entries)
    return entries[name]


def _search_text(space: Any) -> str:
    if not space:
        return ""
    if "log" in space:
        return f", searched in [{space['log'][0]:g}, {space['log'][1]:g}] (log)"
    return f", searched in {{{', '.join(map(str, space['choices']))}}}"


def detail_text(entry: Entry) -> str:
    """An entry for people."""
    lines = [f"{entry['name']}", ""]
    if "error" in entry:
        return "\n".join([*lines, entry["summary"]])
    if "role" not in entry:
        shown = {k: v for k, v in entry.items() if k not in ("name", "summary", "doc")}
        lines += [entry.get("doc") or entry["summary"], ""]
        return "\n".join([*lines, *(f"{k}: {v}" for k, v in shown.items())])
    lines += [entry["doc"], "", f"Citation:  {entry['cite'] or '-'}"]
    lines.append(f"Role:      {entry['role']}; sees {' and '.join(entry['sees']) or 'nothing'}")
    lines.append(f"Scenarios: {', '.join(entry['scenarios'])}")
    lines.append(f"File:      {entry['path']}")
    lines += ["", "Parameters:" if entry["parameters"] else "No parameters."]
    for p in entry["parameters"]:
        space = _search_text(entry["search"].get(p["name"]))
        lines.append(f"  {p['name']}: {p['type']} = {p['default']!r}{space}")
    return "\n".join(lines)
