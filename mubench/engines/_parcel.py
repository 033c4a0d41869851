"""What a cell needs on a machine that sees no folder of the one that planned it, and its way there.

Everything is a folder of files, named by its path below the node's own store: the data, the original's
record, a user's plugin file. Each is sent once to a node.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mubench.planning.cell import CELL, Cell
from mubench.planning.data_cache import filled_cache_folder
from mubench.storage.files import read_folder
from mubench.storage.store import Store

# Path below a store -> file name -> content.
Folders = Mapping[str, Mapping[str, bytes]]


def _is_spec(facts: Any) -> bool:
    return isinstance(facts, dict) and {"function", "module", "path", "source"} <= facts.keys()


def plugin_files(facts: Any) -> list[str]:
    """The files of users' plugins that a cell, as plain data, names."""
    if _is_spec(facts) and not facts["module"]:
        return [facts["path"]]
    inner = facts.values() if isinstance(facts, dict) else facts if isinstance(facts, list) else ()
    return [path for one in inner for path in plugin_files(one)]


def _plugin_folder(path: str) -> str:
    return f"plugins/{hashlib.sha256(path.encode()).hexdigest()[:16]}"


def needs(cell: Cell, store: Store) -> dict[str, Path]:
    """Path below the node's store -> the file or folder here that must lie there before the cell can run."""
    data = cell.setting.data
    folders = {f"data/{data.digest}": filled_cache_folder(data.dataset, data.options, store.root / "data")}
    if cell.original:
        place = store.folder(cell.original)
        folders[str(place.relative_to(store.root))] = place
    plain = CELL.dump_python(cell, mode="json", by_alias=True)
    return folders | {_plugin_folder(path): Path(path) for path in plugin_files(plain)}


def read(path: Path) -> dict[str, bytes]:
    """The files of one of `needs`."""
    return read_folder(path) if path.is_dir() else {path.name: path.read_bytes()}


def _moved(facts: Any, root: Path) -> Any:
    """A cell, as plain data, whose plugins have the paths that they have here."""
    if isinstance(facts, dict):
        moved = {name: _moved(value, root) for name, value in facts.items()}
        if _is_spec(facts):
            path = facts["path"]
            if not facts["module"]:
                moved["path"] = str(root / _plugin_folder(path) / Path(path).name)
            elif (spec := find_spec(facts["module"])) and spec.origin:
                moved["path"] = spec.origin
        return moved
    return [_moved(one, root) for one in facts] if isinstance(facts, list) else facts


def unpack(words: bytes, root: Path) -> Cell:
    """The cell that another machine sent as JSON, for this one, whose store is `root`."""
    return CELL.validate_python(_moved(json.loads(words), root))
