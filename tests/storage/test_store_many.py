"""Many records: which are there, and what all of them say, read at once."""

import shutil

import numpy as np
import pytest
from archives import about, outputs

from mubench.storage import store as stores
from mubench.storage.store import ABOUT, Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_what_is_present_are_the_keys_of_folders_and_nothing_half_written(store):
    assert store.present() == set()
    assert not store.root.exists()
    keys = {"ab" * 32, "ac" * 32, "ab" + "0" * 62}
    for key in keys:
        store.put(key, about(), outputs())
    (store.root / "records" / ".abababababababab-12345678.tmp").mkdir()
    shutil.rmtree(store.folder("ac" * 32))
    (store.root / "records" / "aa").write_text("no folder")

    assert store.present() == keys - {"ac" * 32}
    assert Store(store.root).present() == keys - {"ac" * 32}


@pytest.fixture
def many(store, monkeypatch):
    """So many records that what they say is kept in one file: their keys."""
    monkeypatch.setattr(stores, "MANY", 3)
    keys = [f"{i:064x}" for i in (7, 5, 9)]
    for i, key in enumerate(keys):
        store.put(key, about(note=f"n{i}"), outputs(i))
    return keys


def notes(records):
    return [record and record.about["note"] for record in records]


def test_what_many_records_say_is_read_at_once_the_second_time(store, many, monkeypatch):
    first = Store(store.root).get_all(many)
    assert notes(first) == ["n0", "n1", "n2"]

    again = Store(store.root)
    with monkeypatch.context() as patch:
        patch.setattr(stores, "_read_about", lambda _: pytest.fail("read one by one"))
        assert again.get_all(many) == first
    for i, record in enumerate(again.get(key) for key in many):  # with their arrays, which are checked now
        np.testing.assert_array_equal(record.outputs().logits["test"], outputs(i)["logits.test"])
    assert notes(Store(store.root).get_all(many[::-1])) == ["n2", "n1", "n0"]


def test_of_many_records_one_that_was_replaced_has_gone_or_is_damaged_is_noticed(store, many):
    Store(store.root).get_all(many)
    store.put(many[1], about(note="new"), outputs())

    assert notes(Store(store.root).get_all(many)) == ["n0", "new", "n2"]
    assert notes(Store(store.root).get_all(many)) == ["n0", "new", "n2"]
    file = store.folder(many[0]) / ABOUT
    file.write_bytes(file.read_bytes().replace(b"n0", b"n9"))
    assert notes(Store(store.root).get_all(many)) == [None, "new", "n2"]
    shutil.rmtree(store.folder(many[2]))
    assert notes(Store(store.root).get_all(many)) == [None, "new", None]


def test_a_damaged_file_of_many_records_is_none_and_few_need_none(store, many):
    Store(store.root).get_all(many[:2])
    assert not (store.root / "said").exists()
    Store(store.root).get_all(many)
    (kept,) = (store.root / "said").iterdir()
    kept.write_bytes(kept.read_bytes().replace(b"n0", b"n9"))

    assert notes(Store(store.root).get_all(many)) == ["n0", "n1", "n2"]
    assert b"n9" not in kept.read_bytes()
