"""Stores and archives of records that nobody trained."""

import pytest
from archives import KEYS, about, outputs

from mubench.storage.archive import write_archive
from mubench.storage.store import Store


@pytest.fixture
def filled(tmp_path):
    """`filled(name, keys=KEYS, seed=0, **about)`: a store with a record under each key."""

    def make(name="store", keys=KEYS, seed=0, **changes):
        store = Store(tmp_path / name)
        for key in keys:
            store.put(key, about(**changes), outputs(seed))
        return store

    return make


@pytest.fixture
def archive_of(tmp_path):
    """`archive_of(members, name)`: the archive's path."""

    def make(files, name="archive.zip", **facts):
        write_archive(tmp_path / name, files, **{"mubench": "0", "numerics": 1, **facts})
        return tmp_path / name

    return make
