"""`mubench diff`: own rows beside published ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mubench.commands.request import Request, prepare, read
from mubench.errors import UsageError, printable
from mubench.paper import protocol, published
from mubench.paper.published import PublishedRow
from mubench.planning.suite import Suite
from mubench.reporting import comparison, results
from mubench.reporting.cells import cells_frame
from mubench.reporting.columns import Columns
from mubench.reporting.comparison import Difference
from mubench.reporting.kept import kept_cells
from mubench.reporting.manifest import FILE, Manifest, read_manifest
from mubench.reporting.protocol import NOT_STATED, Departure, departures
from mubench.reporting.render import make_report

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_HEADER = ("Method", "Metric", "Printed", "Own", "Difference", "In own s.e.")


def diff_suite(request: Request, tables: Sequence[Path], console: Console, as_json: bool) -> int:
    """Print the differences; UsageError if nothing published is of this kind, or nothing own is there."""
    choice = read(request)
    rows = [*published.paper_tables(), *published.other_papers()]
    rows += [row for path in tables for row in published.load(path)]
    rows = comparison.answering(rows, choice.suite, str(choice.path))
    manifest = _manifest(request, choice.suite)
    metrics = request.catalogue.metrics
    manifest = manifest.with_columns(Columns.of(metrics.values()))
    cells = cells_frame(manifest, request.store, metrics, kept_cells(request.folder))
    report = make_report(cells, caption="", columns=manifest.shown)
    found = comparison.differences(rows, report.summary, choice.suite)
    if not found:
        raise UsageError(
            f"{request.name}: no own numbers of a published row, neither in {request.folder} nor in the "
            "store; `mubench run` makes them"
        )
    known = {(d.source, d.table) for d in found}
    apart = departures([row for row in rows if (row.source, row.table) in known], manifest)
    if as_json:
        facts = {
            "suite": request.name,
            "cells": [asdict(d) for d in found],
            "protocol": [asdict(d) for d in apart],
            "notes": {f"{row.source}, {row.table}": _notes(row, rows) for row in rows},
        }
        console.print_json(json.dumps(facts, ensure_ascii=False))
        return 0
    _print(rows, found, apart, console)
    return 0


def _manifest(request: Request, suite: Suite) -> Manifest:
    """That of the folder of results, else of the plan; UsageError if the folder forgot something else."""
    if not (request.folder / FILE).exists():
        return results.from_plan(prepare(request), request.name, request.marks)
    manifest = read_manifest(request.folder)
    resolved = (manifest.model_extra or {}).get("resolved") or {}
    wanted = suite.model_dump(by_alias=True)
    for key in ("dataset", "forget"):
        if resolved.get(key, wanted[key]) != wanted[key]:
            raise UsageError(
                f"{request.folder / FILE}: {key} is {resolved[key]}, in the suite {wanted[key]}; run it again"
            )
    return manifest


def _notes(row: PublishedRow, rows: Sequence[PublishedRow]) -> list[str]:
    """The doubts about a row's table, and what of it is not compared."""
    table = [r for r in rows if (r.source, r.table) == (row.source, row.table)]
    doubt = protocol(row.key).get("doubt")
    kinds = {r.mia_kind for r in table if "MIA" in r.values and not r.is_svc}
    return [
        *([doubt] if doubt else []),
        *dict.fromkeys(r.note for r in table if r.note),
        *(f"MIA and Avg. Gap are of another kind, not compared: {kind or 'not stated'}" for kind in kinds),
    ]


def _print(
    rows: Sequence[PublishedRow], found: Sequence[Difference], apart: Sequence[Departure], console: Console
) -> None:
    from rich.table import Table

    for source, table, scenario in dict.fromkeys((d.source, d.table, d.scenario) for d in found):
        own = [d for d in found if (d.source, d.table, d.scenario) == (source, table, scenario)]
        print_ = [r for r in rows if (r.source, r.table, r.scenario) == (source, table, scenario)]
        grid = Table(*_HEADER, title=printable(", ".join(filter(None, (source, table, scenario)))))
        last = ""
        for d in own:
            errors = "n/a" if d.errors is None else f"{d.errors:+.1f}"
            values = _value(d.printed, d.printed_sd), _value(d.own, d.own_sd), f"{d.difference:+.2f}"
            _add(grid, "" if d.method == last else d.method, d.metric, *values, errors)
            last = d.method
        console.print(grid)
        for note in _notes(print_[0], rows):
            console.print(printable(f"- {note}"))
        here = [a for a in apart if (a.source, a.table) == (source, table)]
        console.print(printable(f"- {_protocol(here)}"))
        if only := [r.method for r in print_ if r.method not in {d.method for d in own}]:
            console.print(printable(f"- Only printed: {', '.join(only)}."))
    console.print("Own s.e.: own standard deviation over the seeds / sqrt(seeds); the print's is not in it.")


def _protocol(apart: Sequence[Departure]) -> str:
    """One line: what differs, and what is not stated."""
    parts = [f"{a.what} {a.own} / {a.printed}" for a in apart if a.printed != NOT_STATED]
    if silent := [a.what for a in apart if a.printed == NOT_STATED]:
        parts.append(f"not stated there: {', '.join(silent)}")
    return (
        f"Protocol, own / printed: {'; '.join(parts)}." if parts else "Nothing known of the protocol differs."
    )


def _add(grid: Table, *words: str) -> None:
    from rich.text import Text

    grid.add_row(*(Text(printable(word)) for word in words))


def _value(mean: float, sd: float | None) -> str:
    return f"{mean:.2f}" if sd is None else f"{mean:.2f} ± {sd:.2f}"
