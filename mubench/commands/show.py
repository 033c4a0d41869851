"""`mubench show`: one method, suite, dataset or metric in full, or one record of the store."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mubench.commands.list import KINDS, Entry, listing
from mubench.errors import UsageError, printable, unknown
from mubench.storage.store import ABOUT, Store

# Fewer hex digits of a key are refused: they would soon be ambiguous.
SHORTEST = 6
# Lines of a failed cell's log.
TAIL = 20


def detail(kind: str, name: str, plugins: Sequence[Path] = ()) -> Entry:
    """One entry of a list; UsageError with the nearest name if there is none."""
    if f"{kind}s" not in KINDS:
        raise unknown("kind", kind, [*(k.removesuffix("s") for k in KINDS), "record"])
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
        return "\n".join([*lines, printable(entry["summary"])])
    if "role" not in entry:
        shown = {k: v for k, v in entry.items() if k not in ("name", "summary", "doc", "parameters")}
        lines += [entry.get("doc") or entry["summary"], "", *(f"{k}: {v}" for k, v in shown.items())]
        return "\n".join([*lines, *_parameters(entry)] if "parameters" in entry else lines)
    lines += [entry["doc"], "", f"Citation:  {entry['cite'] or '-'}"]
    lines.append(f"Role:      {entry['role']}; sees {' and '.join(entry['sees']) or 'nothing'}")
    lines.append(f"Scenarios: {', '.join(entry['scenarios'])}")
    if entry["original"]:
        own = entry["original"]
        lines.append(
            f"Original:  of its own kind, trained by {own['function']}({', '.join(own['parameters'])})"
        )
    lines.append(f"File:      {entry['path']}")
    return "\n".join([*lines, *_parameters(entry)])


def _parameters(entry: Entry) -> list[str]:
    lines = ["", "Parameters:" if entry["parameters"] else "No parameters."]
    for p in entry["parameters"]:
        space = _search_text(entry.get("search", {}).get(p["name"]))
        lines.append(f"  {p['name']}: {p['type']} = {p['default']!r}{space}")
    return lines


def record(store: Store, prefix: str) -> Entry:
    """What the store holds of the one cell whose key starts with `prefix`, log included.

    status is "ok" with all that the record says, or "FAILED" with the reason and the end of the log. Raises
    UsageError if there is no such cell, or more than one.
    """
    if not re.fullmatch(f"[0-9a-f]{{{SHORTEST},64}}", prefix):
        raise UsageError(f"record {prefix!r}: give {SHORTEST} to 64 hex digits of a key, as in cells.csv")
    folders = {p.name: p for p in (store.root / "records").glob(f"{prefix[:2]}/{prefix}*")}
    failures = [p.stem for p in (store.root / "failures").glob(f"{prefix}*.json")]
    keys = sorted({*folders, *failures})
    if len(keys) != 1:
        count = "no record" if not keys else f"{len(keys)} records"
        raise UsageError(f"{count} in {store.root} with a key that starts with {prefix}")
    (key,) = keys
    log = store.root / "logs" / f"{key}.log"
    entry: Entry = {"key": key, "log": str(log) if log.exists() else None}
    if key in folders:
        path = folders[key] / ABOUT
        try:
            return {"status": "ok", **entry, **json.loads(path.read_text(encoding="utf-8"))}
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: cannot be read: {error}") from None
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return {"status": "FAILED", "reason": store.failure(key), **entry, "log_tail": lines[-TAIL:]}


def record_text(entry: Entry) -> str:
    """A record for people; checksums and the images of its split are left out."""
    facts: dict[str, Any] = {
        "key": entry["key"],
        "status": entry["status"] + (f": {entry['reason']}" if entry.get("reason") else ""),
    }
    if "cost" in entry:
        cost = entry["cost"]
        reads = ", ".join(f"{n:,} from {name}" for name, n in cost["read"].items())
        facts |= {
            "method": entry["method"] or "original model",
            "seed": entry["seed"],
            "parameters": _pairs(entry.get("parameters")),
            "time": f"{cost['seconds']:.3g} s" + " (slowed down by other work)" * cost["shared"],
            "samples": f"{cost['forward']:,} forward, {cost['backward']:,} backward; read {reads or 'none'}",
            "peak memory": f"{cost['peak_memory_mib']:.0f} MiB" if cost["peak_memory_mib"] else "",
            "environment": _pairs(entry["environment"]),
            "logged": _pairs(entry["notes"]),
        }
    facts["log file"] = entry["log"] or ""
    lines = [f"{name + ':':<13}{value}" for name, value in facts.items() if value != ""]
    return "\n".join(map(printable, [*lines, *(f"  {line}" for line in entry.get("log_tail", []))]))


def _pairs(values: Any) -> str:
    return ", ".join(f"{k} = {v}" for k, v in (values or {}).items())
