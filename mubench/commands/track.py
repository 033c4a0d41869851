"""`--track`: the cells of a finished table, handed to a tracker."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from typing import Any

from mubench.api.tracker import TrackedCell, Tracker
from mubench.commands.request import Request
from mubench.discovery.find import load_function
from mubench.errors import UsageError, one_line
from mubench.reporting.manifest import Manifest
from mubench.reporting.render import Report
from mubench.storage.store import Store

LOG = logging.getLogger(__name__)
# Columns of cells.csv that are no numbers of the cell.
_PLACE = ("class", "method", "role", "seed", "status", "reason", "key")
# Keys of a suite that say what its cells were made of.
_SHARED = ("dataset", "model", "forget", "batch_size", "precision")


def make_tracker(request: Request) -> Tracker | None:
    """The tracker that the options name, if any; UsageError if it is unknown or cannot be started."""
    if request.track is None:
        return None
    spec = request.catalogue.trackers.find(request.track, "--track")
    try:
        made: Tracker = load_function(spec)(request.name)
    except UsageError:
        raise
    except Exception as error:  # a plugin may raise anything; nothing has been trained yet
        raise UsageError(f"--track {spec.name}: {one_line(f'{type(error).__name__}: {error}')}") from error
    return made


def track_cells(tracker: Tracker, manifest: Manifest, report: Report, request: Request) -> None:
    """Hand every cell of the table that has numbers, or failed, to the tracker.

    A tracker that raises is warned of once and given nothing more: the table is complete without it.
    """
    count, name = 0, request.track
    try:
        for cell in tracked_cells(manifest, report, request.store):
            tracker.log(cell)
            count += 1
    except Exception as error:  # a tracker may raise anything, and the run has succeeded
        why = one_line(f"{type(error).__name__}: {error}")
        LOG.warning("--track %s stopped after %d cells: %s; the results are complete", name, count, why)
    else:
        LOG.info("tracked %d cells by %s", count, name)


def tracked_cells(manifest: Manifest, report: Report, store: Store) -> Iterator[TrackedCell]:
    """The cells of a table, in its order."""
    shared = {f"suite.{key}": value for key in _SHARED if (value := _resolved(manifest).get(key)) is not None}
    parameters = {
        key: row.parameters for rows in manifest.blocks.values() for row in rows for key in row.keys.values()
    }
    for line in report.summary.cells.to_dict("records"):
        if line["status"] not in ("ok", "FAILED") or not isinstance(line["key"], str):
            continue
        record = store.get(line["key"])
        yield TrackedCell(
            suite=str((manifest.model_extra or {}).get("suite", manifest.title)),
            row=line["method"],
            role=str(line["role"]),
            seed=int(line["seed"]),
            key=line["key"],
            label=line.get("class", ""),
            status=str(line["status"]),
            reason=line["reason"] if isinstance(line["reason"], str) else "",
            parameters={**parameters[line["key"]], **shared},
            metrics={str(k): float(v) for k, v in line.items() if k not in _PLACE and _is_number(v)},
            series=_series(record.about.get("notes") or {}) if record else {},
            environment=record.about["environment"] if record else {},
        )


def _resolved(manifest: Manifest) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (manifest.model_extra or {}).get("resolved", {})
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _series(notes: Mapping[str, Any]) -> dict[str, list[float]]:
    """What the method logged as lists of numbers."""
    return {
        name: [float(v) for v in values]
        for name, values in notes.items()
        if isinstance(values, list) and values and all(map(_is_number, values))
    }
