"""Records: whole or not there, checked when read, set aside when damaged."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mubench.api.outputs import SETS
from mubench.errors import UsageError
from mubench.storage.files import key_of, load_json, open_new, save_json, write_atomic
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
def test_a_damaged_record_is_set_aside_and_can_be_made_again(store, kept, capsys, name, harm):
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
    assert f"a damaged record was set aside as {aside} (" in capsys.readouterr().err
    assert later.get(KEY) is None
    assert capsys.readouterr().err == ""
    later.put(KEY, ABOUT_IT, arrays())
    assert later.get(KEY) is not None


@pytest.mark.parametrize("content", ["[]", "3", "null", '{"files": 3}', "{}", "\xff", "[" * 100_000])
def test_a_description_of_another_shape_is_damage_too(store, kept, content):
    (kept / ABOUT).write_text(content, encoding="latin-1")

    assert store.get(KEY) is None
    assert len(list((store.root / "damaged").iterdir())) == 1


def test_a_record_that_another_process_replaced_is_read_anew(store, kept):
    assert store.get(KEY).about["note"] == "x"
    Store(store.root).put(KEY, {**ABOUT_IT, "note": "y"}, arrays())

    assert store.get(KEY).about["note"] == "y"


def test_a_record_is_checked_once_for_as_long_as_it_stays(store, kept, monkeypatch):
    first = store.get(KEY)
    monkeypatch.setattr(hashlib, "sha256", lambda *_: pytest.fail("read again"))

    assert store.get(KEY) is first


def test_a_description_is_read_without_its_arrays_and_these_are_checked_before_they_are_read(store, kept):
    (kept / ARRAYS).write_bytes(b"cut")

    assert store.get(KEY, arrays=False).about["note"] == "x"
    assert store.get(KEY) is None
    assert store.get(KEY, arrays=False) is None
    assert len(list((store.root / "damaged").iterdir())) == 1


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
    path = store.root / "metrics" / f"{KEY}.json"
    for damaged in ("[{", path.read_text(encoding="utf-8").replace("1.5", "2.5")):
        path.write_text(damaged, encoding="utf-8")
        assert store.cached_json("metrics", KEY) is None


def test_write_atomic_keeps_the_old_file_when_it_fails(tmp_path, monkeypatch):
    file = tmp_path / "deep" / "file"
    write_atomic(file, b"old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))

    with pytest.raises(OSError, match="disk full"):
        write_atomic(file, b"new, much longer")

    assert file.read_bytes() == b"old"
    assert [p.name for p in file.parent.iterdir()] == ["file"]


def test_what_can_be_computed_again_does_not_wait_for_the_disk_and_a_cut_short_file_counts_as_none(
    tmp_path, monkeypatch
):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    file = tmp_path / "value.json"

    save_json(file, {"a": 1}, lasting=False)
    assert (load_json(file), synced) == ({"a": 1}, [])
    save_json(file, {"a": 2})
    assert (load_json(file), len(synced)) == ({"a": 2}, 1)
    for size in (0, 5, file.stat().st_size - 1):
        os.truncate(file, size)
        assert load_json(file) is None
        save_json(file, {"a": 2}, lasting=False)


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
    store = Store(tmp_path / "file" / "store")

    assert store.get(KEY) is None
    with pytest.raises(UsageError, match=r"the store .*file/store cannot be written: "):
        store.check_writable()


def test_a_store_is_made_when_something_is_written(store):
    assert not store.root.exists()
    store.check_writable()
    assert list(store.root.rglob("*")) == [store.root / "records"]


@pytest.mark.parametrize(
    "key", ["", "ab", "/etc", "../" * 21 + "a", "A" * 64, "g" * 64, KEY + "\n", "é" * 64]
)
def test_what_is_no_key_never_becomes_a_path(store, kept, key):
    for use in (store.folder, store.get, store.lock, store.log_file, store.failure, store.forget_failure):
        with pytest.raises(UsageError, match="is no key of a record: a key is 64 hexadecimal digits"):
            use(key)
    assert kept.is_dir()


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="file names are Unicode here")
def test_a_path_that_is_not_utf_8_is_refused():
    with pytest.raises(UsageError, match=r"the store '/tmp/\\udcff': the path is not UTF-8; choose another"):
        Store(Path(os.fsdecode(b"/tmp/\xff")))


@pytest.mark.parametrize("write", [open_new, lambda path: write_atomic(path, b"new")])
@pytest.mark.parametrize("plant", [os.symlink, os.link])
def test_a_planted_link_is_replaced_and_not_followed(store, tmp_path, write, plant):
    target, log = tmp_path / "target", store.log_file(KEY)
    target.write_text("precious")
    log.parent.mkdir(parents=True)
    plant(target, log)

    if file := write(log):
        file.close()

    assert target.read_text() == "precious"
    assert not log.is_symlink()


def test_a_planted_link_is_no_lock(store, tmp_path):
    (tmp_path / "target").write_text("precious")
    (store.root / "locks").mkdir(parents=True)
    (store.root / "locks" / f"{KEY}.lock").symlink_to(tmp_path / "target")

    with pytest.raises(OSError, match="symbolic links"), store.lock(KEY):
        pass
    assert (tmp_path / "target").read_text() == "precious"


@pytest.mark.skipif(os.name == "nt", reason="no modes here")
@pytest.mark.parametrize(("folder", "mode"), [(0o777, 0o666), (0o775, 0o664), (0o700, 0o600)])
def test_whoever_may_write_to_the_folder_of_locks_may_take_them(store, folder, mode):
    """Whatever the umask of the user who was first."""
    (store.root / "locks").mkdir(parents=True)
    (store.root / "locks").chmod(folder)
    before = os.umask(0o022)
    try:
        with store.lock(KEY):
            pass
    finally:
        os.umask(before)

    assert stat.S_IMODE((store.root / "locks" / f"{KEY}.lock").stat().st_mode) == mode


READ_ONLY = """
from pathlib import Path
from mubench.cli import main
from mubench.storage.store import Store
store = Store(Path("store"))
store.save_json("metrics", "ab" * 32, [1.5])
assert store.cached_json("metrics", "ab" * 32) is None
assert store.get("ab" * 32).about["note"] == "x"
assert store.get("cd" * 32) is None
main(["plan", "--suite", "digits-class-3", "--store", "store"])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="drops a capability of Linux")
def test_a_store_that_is_only_read_can_be_planned_from(tmp_path):
    """Of a damaged record it only says that there is none."""

    def be_nobody_special():
        """Without the right to write everywhere that root has: CAP_DAC_OVERRIDE, by PR_CAPBSET_DROP."""
        import ctypes

        ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)

    store = Store(tmp_path / "store")
    store.put("ab" * 32, ABOUT_IT, arrays())
    store.put("cd" * 32, ABOUT_IT, arrays())
    (store.folder("cd" * 32) / ARRAYS).write_bytes(b"")
    folders = [p for p in (store.root, *store.root.rglob("*")) if p.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", READ_ONLY],
            preexec_fn=be_nobody_special,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        for folder in folders:
            folder.chmod(0o755)

    assert done.returncode == 0, done.stderr
    assert "Retrain" in done.stdout
    assert [p.name for p in store.root.iterdir()] == ["records"]


def test_where_the_store_is(monkeypatch, tmp_path):
    monkeypatch.setenv("MUBENCH_STORE", str(tmp_path))
    assert default_store() == tmp_path
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MUBENCH_STORE", "~/kept")
    assert Store(default_store()).root == tmp_path / "home" / "kept"
    monkeypatch.delenv("MUBENCH_STORE")
    assert default_store().parts[-2:] == ("mubench", "store")


class TestAdopt:
    """A record that another store wrote."""

    def files(self, kept):
        return {p.name: p.read_bytes() for p in kept.iterdir()}

    def test_it_is_the_same_record(self, kept, tmp_path):
        other = Store(tmp_path / "other")
        other.put_failure(KEY, "the node burnt")

        other.adopt(KEY, self.files(kept))

        assert self.files(other.folder(KEY)) == self.files(kept)
        assert other.get(KEY).about["note"] == "x"
        assert other.failure(KEY) is None

    @pytest.mark.parametrize("name", [ABOUT, ARRAYS, WEIGHTS])
    def test_one_without_a_file_or_with_a_changed_one_is_refused_and_nothing_kept(self, kept, name, tmp_path):
        other, files = Store(tmp_path / "other"), self.files(kept)

        with pytest.raises(ValueError, match="damaged"):
            other.adopt(KEY, {n: f for n, f in files.items() if n != name})
        with pytest.raises(ValueError, match="damaged"):
            other.adopt(KEY, {**files, name: files[name].replace(b"x", b"y", 1) + b" "})

        assert [p for p in (other.root / "records").rglob("*") if p.is_file()] == []

    def test_the_record_of_another_cell_or_with_more_files_is_refused(self, kept, tmp_path):
        other, files = Store(tmp_path / "other"), self.files(kept)

        with pytest.raises(ValueError, match="not the cell's record"):
            other.adopt("cd" + "0" * 62, files)
        with pytest.raises(ValueError, match="not the cell's record"):
            other.adopt(KEY, {**files, "more": b""})
