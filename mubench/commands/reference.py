"""`mubench run --reference`: rows of an earlier run in place of training them here.

The numbers of a run lie in an archive (`mubench store export --suite ... --numbers`), for some suites beside
their TOML file. A row of it stands for a row of the suite if every cell is its twin: the same data, split,
model, recipe, method, parameters and seed, on whatever machine. All other rows are trained here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mubench.commands.sameness import check_same_data, what_differs
from mubench.errors import UsageError, printable
from mubench.planning.plan import Plan
from mubench.planning.rows import TableRow
from mubench.planning.twins import twins
from mubench.reporting.manifest import Manifest, read_manifest
from mubench.storage.archive import Archive, open_archive
from mubench.storage.merge import merge, results_folder
from mubench.storage.store import Store
from mubench.version import NUMERICS

# The value of --reference without a file: the archive that lies beside the suite.
BESIDE = "beside"
ENDING = ".reference.zip"


def reference_file(asked: str, suite: Path, profile: str | None) -> Path:
    """The archive that --reference names, or the one beside the suite's file; UsageError without that."""
    if asked != BESIDE:
        return Path(asked)
    name = f"{suite.stem}-{profile}" if profile else suite.stem
    beside = suite.with_name(name + ENDING)
    if not beside.is_file():
        known = sorted(p.name.removesuffix(ENDING) for p in suite.parent.glob(f"*{ENDING}"))
        raise UsageError(
            f"--reference: no reference of {name!r} comes along; there are those of "
            f"{', '.join(known) or 'no suite'}; name an archive that `mubench store export --suite` wrote"
        )
    return beside


@dataclass(frozen=True)
class Reference:
    """A plan whose rows are in part those of an archive.

    plan: without the cells that need not run. there: the names of the rows that the archive has. here: of
    those that are trained here. archive: where their numbers are. folder: where in the store.
    """

    archive: Archive
    plan: Plan
    there: tuple[str, ...]
    here: tuple[str, ...]
    folder: Path

    def take_in(self, store: Store) -> None:
        """Put the numbers of the archive into `folder`, and its records, if it has any, into the store."""
        merge(self.archive, store)

    def marked(self, manifest: Manifest) -> Manifest:
        """The manifest of the plan, with a line that says where the rows of the archive ran."""
        made = " ".join(line[0].lower() + line[1:] for line in read_manifest(self.folder).hardware)
        note = f"Reference: {', '.join(self.there)}: not trained here, {made or 'made elsewhere.'}"
        times = (
            f"RTE of {', '.join(self.here)}: on this machine; times compare only between rows of one "
            "machine, the passes in cells.csv everywhere."
        )
        notes = [*manifest.notes, note, *([times] if self.here else [])]
        return manifest.model_copy(update={"notes": notes, "timed_apart": list(self.here)})


def with_reference(plan: Plan, path: Path, store: Store) -> Reference:
    """The plan with the rows that the archive has; UsageError if it has none of them, or is of other data."""
    archive = open_archive(path)
    if "manifest.json" not in archive.results or "cells.csv" not in archive.results:
        raise UsageError(f"archive {path}: it holds no numbers of a suite; export it with --suite")
    if archive.about.numerics != NUMERICS:
        raise UsageError(
            f"archive {path}: made by mubench {printable(archive.about.mubench)}, whose numbers do not "
            "compare with this version's"
        )
    try:
        facts = json.loads(archive.read("results/manifest.json"))
        check_same_data(plan, facts, f"archive {path}")
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        raise UsageError(f"archive {path}: its manifest does not say which data it is of") from None
    twin_of, known = twins(plan), archive.about.twins
    lacking = {
        row.name for row in plan.rows if row.keys and any(twin_of[k] not in known for k in row.keys.values())
    }
    rows = [row.name for row in plan.blocks[0].rows if row.keys]
    there = tuple(name for name in rows if name not in lacking)
    if not there:
        raise UsageError(f"archive {path}: it has no row of this suite: {what_differs(plan, facts)}")
    blocks = [
        replace(block, rows=[_row(row, there, twin_of, known) for row in block.rows]) for block in plan.blocks
    ]
    trained = [row for block in blocks for row in block.rows if row.name not in there]
    wanted = {key for row in trained for key in row.keys.values()}
    cells = [cell for cell in plan.cells if cell.spec is None or cell.key in wanted]
    needed = {cell.original for cell in cells}
    cells = [cell for cell in cells if cell.spec is not None or cell.key in needed]
    here = tuple(name for name in rows if name in lacking)
    folder = results_folder(archive, store)
    return Reference(archive, replace(plan, blocks=blocks, cells=cells), there, here, folder)


def _row(
    row: TableRow, there: Iterable[str], twin_of: Mapping[str, str], known: Mapping[str, str]
) -> TableRow:
    if row.name not in there:
        return row
    return replace(row, keys={seed: known[twin_of[key]] for seed, key in row.keys.items()})
