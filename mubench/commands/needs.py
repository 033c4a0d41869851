"""What suites need of a store: the keys of their cells, their splits and their data."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mubench.commands.request import Request, read
from mubench.datasets._official import without_downloads
from mubench.discovery.find import Catalogue
from mubench.discovery.suites import suite_files
from mubench.errors import UsageError
from mubench.planning import suite as suites
from mubench.planning.data_cache import cache_folder
from mubench.planning.device import resolve_device
from mubench.planning.plan import Plan, make_plan
from mubench.planning.rows import select
from mubench.storage.store import Store


@dataclass
class Needs:
    """keys: of the cells. splits: their digests. data: the folders of datasets.

    unknown: the datasets of suites whose keys cannot be told here, most often because the data are not here.
    """

    keys: set[str] = field(default_factory=set)
    splits: set[str] = field(default_factory=set)
    data: set[Path] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)


def needs_of(store: Store, given: Sequence[str], plugins: tuple[Path, ...]) -> Needs:
    """What the installed suites and the given ones need, with each profile and on each device here.

    Nothing is downloaded or written. UsageError for a given suite that cannot be read.
    """
    needs = Needs()
    with tempfile.TemporaryDirectory() as scratch, without_downloads():
        for request in _requests(store, given, plugins):
            choice = read(request)
            chosen = select(choice.suite, request.catalogue, [], choice.plugins)
            try:
                data = request.catalogue.datasets.find(chosen.dataset)
                folder = cache_folder(data, chosen.data, store.root / "data")
                # data that are not kept here are not made to be kept
                place = store if folder.is_dir() else Store(Path(scratch))
                for device in devices():
                    _add(needs, make_plan(chosen, request.catalogue, place, device, str(choice.path)))
                needs.data.add(folder)
            except (UsageError, OSError):
                needs.unknown.add(chosen.dataset)
    return needs


def _requests(store: Store, given: Sequence[str], plugins: tuple[Path, ...]) -> Iterator[Request]:
    """Each suite as it is and with each of its profiles."""
    catalogue = Catalogue(plugins, store.root / "specs")
    for name in dict.fromkeys((*given, *map(str, suite_files().values()))):
        plain = Request(name, store, plugins=plugins)
        plain.__dict__["catalogue"] = catalogue  # one for all, which reads the plugins once
        for profile in (None, *suites.profiles(suites.find(name))):
            request = replace(plain, profile=profile)
            request.__dict__["catalogue"] = catalogue
            yield request


def devices() -> list[str]:
    """Those that cells can run on here."""
    return list(dict.fromkeys(("cpu", resolve_device("auto"))))


def _add(needs: Needs, plan: Plan) -> None:
    needs.keys |= {cell.key for cell in plan.cells}
    needs.splits |= {split.digest for block in plan.blocks for split in block.splits.values()}
