"""Records: whole or not there, checked when read, set aside when damaged."""

import json
import os
import shutil

import numpy as np
import pytest

from mubench.api.outputs import SETS
from mubench.errors import UsageError
from mubench.storage.files import key_of, write_atomic
from mubench.storage.store import ABOUT, ARRAYS, WEIGHTS, Store, default_store

KEY = "ab" + "0" * 62
ABOUT_IT = {"forgotten": [1], "note": "x"}


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    made = {f"logits.{s}": rng.normal(size=(4, 3)).astype(np.float32) for s in SETS}
    made |= {f"labels.{s}": rng.integers(0, 3, 4) for s in SETS}
    return {**made, "features.forget": np.ones((2, 5), dtype=np.float32)[:, ::2]}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def kept(store):
    """A record in the store; returns its folder."""
    store.put(KEY, ABOUT_IT, arrays(), {"w": np.arange(3, dtype=np.float32)})
    return store.folder(KEY)


def test_what_is_put_is_what_is_got(store, kept):
    record = Store(store.root).get(KEY)

    assert (record.about["note"], record.about["key"]) == ("x", KEY)
    outputs, made = record.outputs(), arrays()
    for name in SETS:
        np.testing.assert_array_equal(outputs.logits[name], made[f"logits.{name}"])
        np.testing.assert_array_equal(outputs.labels[name], made[f"labels.{name}"])
    np.testing.assert_array_equal(outputs.features["forget"], np.ones((2, 3)))
    assert outputs.forgotten == (1,)
    assert record.weights == kept / WEIGHTS
    assert {p.name for p in kept.iterdir()} == {ABOUT, ARRAYS, WEIGHTS}


def test_nothing_else_is_left_behind(store, kept):
    assert store.get("cd" + "0" * 62) is None
    assert [p for p in store.root.rglob("*") if p.is_file() and kept not in p.parents] == []
    assert [p.name for p in (store.root / "records").iterdir()] == ["ab"]


@pytest.mark.parametrize("name", [ABOUT, ARRAYS, WEIGHTS])
@pytest.mark.parametrize("harm", ["truncated", "one byte", "empty", "missing"])
def test_a_damaged_record_is_set_aside_and_can_be_made_again(store, kept, name, harm):
    file = kept / name
    data = bytearray(file.read_bytes())
    if harm == "missing":
        file.unlink()
    elif harm == "one byte" and name == ABOUT:
        file.write_bytes(bytes(data).replace(b'"files"', b'"filez"'))
    else:
        data[len(data) // 2] ^= 1
        file.write_bytes({"truncated": data[:-7], "one byte": data, "empty": b""}[harm])
    later = Store(store.root)

    assert later.get(KEY) is None
    assert not kept.exists()
    (aside,) = (store.root / "damaged").iterdir()
    assert aside.name.startswith(KEY)
    assert len(later.set_aside) == 1
    assert str(aside) in later.set_aside[0]
    assert later.get(KEY) is None
    assert len(later.set_aside) == 1
    later.put(KEY, ABOUT_IT, arrays())
    assert later.get(KEY) is not None


@pytest.mark.parametrize("content", ["[]", "3", "null", '{"files": 3}', "{}", "\xff"])
def test_a_description_of_another_shape_is_damage_too(store, kept, content):
    (kept / ABOUT).write_text(content, encoding="latin-1")

    assert store.get(KEY) is None
    assert len(store.set_aside) == 1


def test_a_killed_write_is_never_read(store, monkeypatch):
    """The process ends after the arrays are written, before the record has its name."""
    real = write_atomic

    def killed(path, data):
        if path.name == ABOUT:
            raise KeyboardInterrupt
        real(path, data)

    monkeypatch.setattr("mubench.storage.store.write_atomic", killed)
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)  # a killed process cleans nothing up
    with pytest.raises(KeyboardInterrupt):
        store.put(KEY, ABOUT_IT, arrays())
    monkeypatch.undo()

    assert any(p.name.endswith(".tmp") for p in (store.root / "records").iterdir())
    assert Store(store.root).get(KEY) is None
    store.put(KEY, ABOUT_IT, arrays())
    assert Store(store.root).get(KEY).about["note"] == "x"


def test_a_failed_write_cleans_up_and_keeps_the_old_record(store, kept):
    with pytest.raises(TypeError):
        store.put(KEY, {"cannot": object()}, arrays(1))
    with pytest.raises(ValueError, match="JSON"):
        store.put(KEY, {"nan": float("nan")}, arrays(1))

    assert [p.name for p in (store.root / "records").iterdir()] == ["ab"]
    assert Store(store.root).get(KEY).about["note"] == "x"


def test_a_record_is_replaced_whole(store, kept):
    assert store.get(KEY).about["note"] == "x"
    store.put(KEY, {**ABOUT_IT, "note": "y"}, arrays(1))

    record = store.get(KEY)
    assert record.about["note"] == "y"
    np.testing.assert_array_equal(record.outputs().logits["val"], arrays(1)["logits.val"])
    assert not (kept / WEIGHTS).exists()
    assert [p.name for p in (store.root / "records").iterdir()] == ["ab"]


def test_failures_are_remembered_until_the_cell_succeeds(store):
    assert store.failure(KEY) is None
    store.put_failure(KEY, "it broke")
    assert Store(store.root).failure(KEY) == "it broke"
    store.put(KEY, ABOUT_IT, arrays())
    assert store.failure(KEY) is None
    store.forget_failure(KEY)
    for damage in ("", "[]", "{}", '{"reason"'):
        (store.root / "failures" / f"{KEY}.json").write_text(damage, encoding="utf-8")
        assert store.failure(KEY) is None


def test_derived_values(store):
    assert store.cached_json("metrics", KEY) is None
    store.save_json("metrics", KEY, [{"ua": 1.5}])
    assert store.cached_json("metrics", KEY) == [{"ua": 1.5}]
    (store.root / "metrics" / f"{KEY}.json").write_text("[{", encoding="utf-8")
    assert store.cached_json("metrics", KEY) is None


def test_write_atomic_keeps_the_old_file_when_it_fails(tmp_path, monkeypatch):
    file = tmp_path / "deep" / "file"
    write_atomic(file, b"old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))

    with pytest.raises(OSError, match="disk full"):
        write_atomic(file, b"new, much longer")

    assert file.read_bytes() == b"old"
    assert [p.name for p in file.parent.iterdir()] == ["file"]


def test_keys_say_what_decides_the_outcome():
    facts = {"a": 1, "b": [1.5, "x"], "c": {"d": None, "e": True}}

    assert key_of(facts) == key_of(json.loads(json.dumps({"c": facts["c"], "b": facts["b"], "a": 1})))
    assert len(key_of(facts)) == 64
    different = [{**facts, "a": v} for v in (2, 1.0, "1", None)] + [{**facts, "b": ["x", 1.5]}]
    assert len({key_of(f) for f in [facts, *different]}) == 6
    with pytest.raises(ValueError, match="JSON"):
        key_of({"a": float("nan")})


def test_a_store_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(UsageError, match="cannot be written: "):
        Store(tmp_path / "file" / "store")


def test_where_the_store_is(monkeypatch, tmp_path):
    monkeypatch.setenv("MUBENCH_STORE", str(tmp_path))
    assert default_store() == tmp_path
    monkeypatch.delenv("MUBENCH_STORE")
    assert default_store().parts[-2:] == ("mubench", "store")
