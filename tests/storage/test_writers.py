"""Several processes write to one store at once, and one of them is killed at any moment."""

import errno
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from mubench.storage.files import key_of
from mubench.storage.store import Store, UnwritableError

COUNT = 40
VALUES = np.arange(5_000, dtype=np.float32)


def key(owner, number):
    return key_of([owner, number])


def write(store, owner):
    """Put the owner's records, and replace those that all share."""
    for number in range(COUNT):
        for name in (owner, "shared"):
            with store.lock(key(name, number)):
                about = {"method": name, "number": number}
                store.put(key(name, number), about, {"values": VALUES + number})


def start(root, owner):
    """A process of its own that writes; its number."""
    pid = os.fork()
    if pid == 0:
        try:
            write(Store(root), owner)
        finally:
            os._exit(0)
    return pid


@pytest.mark.parametrize("moment", [0.0, 0.02, 0.05, 0.1])
def test_two_writers_and_a_killed_third_lose_nothing(tmp_path, moment, monkeypatch):
    from safetensors.numpy import load_file

    monkeypatch.setattr("os.fsync", lambda _: None)  # no power is cut here
    writers = [start(tmp_path, owner) for owner in ("first", "second")]
    third = start(tmp_path, "third")
    time.sleep(moment)
    os.kill(third, signal.SIGKILL)
    for pid in (*writers, third):
        os.waitpid(pid, 0)

    store = Store(tmp_path)
    for owner in ("first", "second", "shared"):
        for number in range(COUNT):
            record = store.get(key(owner, number))
            assert record is not None, (owner, number)
            assert record.about["number"] == number
            values = load_file(record.folder / "outputs.safetensors")["values"]
            np.testing.assert_array_equal(values, VALUES + number)
    assert not (tmp_path / "damaged").exists()
    write(store, "third")  # what it held when it was killed is free again, and what it left is taken away
    assert all(store.get(key("third", number)) for number in range(COUNT))
    assert not list((tmp_path / "records").glob(".*"))


@pytest.fixture
def replaced(tmp_path, monkeypatch):
    """A store whose writer was killed when the old record had left its place and the new one not taken it."""
    store, real = Store(tmp_path), Path.rename

    def killed(path, target):
        if path.suffix == ".tmp":
            raise KeyboardInterrupt
        return real(path, target)

    store.put(key("a", 1), {"method": "a", "number": 1}, {"values": VALUES})
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        patch.setattr("mubench.storage.store._settle", lambda *_: None)  # a killed process settles nothing
        patch.setattr("shutil.rmtree", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            store.put(key("a", 1), {"method": "a", "number": 2}, {"values": VALUES})
    assert not store.folder(key("a", 1)).exists()
    return store


def test_a_record_whose_writer_was_killed_in_the_middle_of_replacing_it_is_put_back(replaced):
    assert Store(replaced.root).get(key("a", 1)).about["number"] == 1
    assert not list((replaced.root / "records").glob(".*.old"))


def test_it_is_left_to_its_writer_while_that_one_holds_the_lock(replaced):
    with replaced.lock(key("a", 1)):
        assert Store(replaced.root).get(key("a", 1)) is None

    assert Store(replaced.root).present() == {key("a", 1)}


def test_the_next_writer_replaces_it_and_takes_away_what_was_left(replaced):
    replaced.put(key("a", 1), {"method": "a", "number": 3}, {"values": VALUES})

    assert Store(replaced.root).get(key("a", 1)).about["number"] == 3
    assert not list((replaced.root / "records").glob(".*"))


def test_a_record_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    store, real = Store(tmp_path), Path.rename

    def full(path, target):
        if path.suffix == ".tmp":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, target)

    store.put(key("a", 1), {"method": "a", "number": 1}, {"values": VALUES})
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", full)
        with pytest.raises(UnwritableError, match="No space left"):
            store.put(key("a", 1), {"method": "a", "number": 2}, {"values": VALUES})

    assert store.get(key("a", 1)).about["number"] == 1
    assert not list((tmp_path / "records").glob(".*"))
