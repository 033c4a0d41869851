"""What there is: methods, suites, datasets and metrics, as plain data for `list` and `show`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mubench.discovery import methods as registry
from mubench.errors import unknown
from mubench.planning import suite

Entry = dict[str, Any]


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else ""


def _methods(plugins: Sequence[Path]) -> list[Entry]:
    known = registry.load(plugins)
    entries: list[Entry] = []
    for spec in sorted(known.methods.values(), key=lambda c: c.name.lower()):
        about = asdict(spec)
        parameters = [{**asdict(p), "type": p.type_name} for p in spec.parameters]
        about |= {"summary": _first_line(spec.doc), "parameters": parameters}
        entries.append(about)
    entries += [
        {"name": n, "summary": f"cannot be loaded: {why}", "error": why} for n, why in known.broken.items()
    ]
    return entries


def _suites(plugins: Sequence[Path]) -> list[Entry]:
    entries = []
    for name, path in suite.suite_files().items():
        loaded = suite.load(path)
        rows = [*loaded.methods, *(v.name for v in loaded.variants)]
        about = {"path": str(path), "rows": rows, **loaded.model_dump(by_alias=True)}
        entries.append({"name": name, "summary": loaded.title, **about})
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


_KINDS = {"methods": _methods, "suites": _suites, "datasets": _datasets, "metrics": _metrics}


def listing(what: str, plugins: Sequence[Path] = ()) -> list[Entry]:
    """All entries of a kind, each with `name` and `summary`; UsageError for an unknown kind."""
    if what not in _KINDS:
        raise unknown("list", what, _KINDS)
    return _KINDS[what](plugins)


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
    if "function" not in entry:
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
