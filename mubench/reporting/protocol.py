"""What differs between how own rows and published rows were made."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mubench.paper import protocol
from mubench.paper.published import PublishedRow, plain
from mubench.reporting.manifest import Manifest

NOT_STATED = "not stated"


@dataclass(frozen=True)
class Departure:
    """One fact of the protocol that differs, or that is not known of the print."""

    source: str
    table: str
    what: str
    own: str
    printed: str


def departures(rows: Sequence[PublishedRow], manifest: Manifest) -> list[Departure]:
    """What differs, for each published table: model, data, training images, epochs, seeds, split, profile."""
    tables = {(row.source, row.table): row for row in rows}
    return [
        Departure(*table, what, here, there)
        for table, row in tables.items()
        for what, here, there in _facts(row, manifest)
        if not _same(here, there)
    ]


def _facts(row: PublishedRow, manifest: Manifest) -> list[tuple[str, str, str]]:
    """(what, own, printed) of all that is compared."""
    extra: dict[str, Any] = manifest.model_extra or {}
    resolved, known = extra.get("resolved") or {}, protocol(row.key)
    profile = (extra.get("overrides") or {}).get("profile")
    per_class = [("forget set", "drawn from all classes together", row.forget)]
    facts = [
        ("model", str(resolved.get("model", "")), row.model),
        ("dataset", str(resolved.get("dataset", "")), row.dataset),
        *(per_class if "per class" in row.forget else []),
        ("training images", _images(extra.get("splits")), known.get("images", "")),
        ("epochs", str((resolved.get("original") or {}).get("epochs", "")), known.get("epochs", "")),
        ("seeds", str(len(resolved.get("seeds", ()))), known.get("seeds", "")),
        ("split", str(resolved.get("split", "")), known.get("split", "")),
        *([("profile", str(profile), "none")] if profile else []),
    ]
    return [(what, here, there or NOT_STATED) for what, here, there in facts]


def _images(splits: Any) -> str:
    """How many images the original is trained on, from the first of a manifest's splits."""
    while isinstance(splits, dict) and splits and "train" not in splits:
        splits = next(iter(splits.values()))
    return f"{splits['train']['count']:,}" if isinstance(splits, dict) and splits else ""


def _same(here: str, there: str) -> bool:
    """Whether the two say the same, apart from what stands in brackets after it."""
    return plain(here) == plain(re.sub(r" \(.*", "", there))
