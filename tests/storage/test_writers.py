"""Several processes write to one store at once, and one of them is killed at any moment."""

import os
import signal
import time

import numpy as np
import pytest

from mubench.storage.files import key_of
from mubench.storage.store import Store

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
