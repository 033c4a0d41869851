"""Records of an archive come into a store all together or not at all, also of two at once or after a kill."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from archives import KEYS, about, members, outputs, tree

from mubench.errors import UsageError
from mubench.storage import merge as merging
from mubench.storage.archive import open_archive
from mubench.storage.journal import staging
from mubench.storage.merge import merge
from mubench.storage.store import ABOUT, ARRAYS, Store


def records(store):
    return {name: content for name, content in tree(store.root).items() if name.startswith("records")}


def test_a_round_trip_brings_the_same_bytes(filled, archive_of, tmp_path):
    source, target = filled(), Store(tmp_path / "target")

    merged = merge(open_archive(archive_of(members(source))), target)

    assert (merged.new, merged.present, merged.results) == (3, 0, None)
    assert tree(target.root) == records(source)
    assert target.get(KEYS[0]).about == source.get(KEYS[0]).about


def test_what_is_there_stays_and_times_may_differ(filled, archive_of, tmp_path):
    path = archive_of(members(filled()))
    slower = about()["cost"] | {"seconds": 99.0, "shared": True}
    target = filled("target", KEYS[:2], cost=slower, environment={"hardware": "another"}, dataset="digits")

    merged = merge(open_archive(path), target)

    assert (merged.new, merged.present) == (1, 2)
    assert [Store(target.root).get(key).about["cost"]["seconds"] for key in KEYS] == [99.0, 99.0, 1.5]


@pytest.mark.parametrize("other", [{"seed": 1}, {"parameters": {"lr": 0.2}}, {"method": "GA"}])
def test_another_outcome_under_the_same_key_is_named_and_nothing_imported(
    filled, archive_of, tmp_path, other
):
    path = archive_of(members(filled()))
    target = filled("target", KEYS[1:2], **{"seed": 0, **{k: v for k, v in other.items() if k != "seed"}})
    if "seed" in other:  # other logits
        target.put(KEYS[1], about(), outputs(1))
    before = tree(target.root)

    with pytest.raises(UsageError, match=f"another outcome under the same key: {KEYS[1][:12]}; nothing was"):
        merge(open_archive(path), target)

    assert tree(target.root) == before


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda files: {**files, ABOUT: files[ABOUT].replace(b'"FT"', b'"GA"')}, "does not match its digest"),
        (lambda files: {ABOUT: files[ABOUT]}, "No such file"),
        (lambda files: {**files, ARRAYS: b"x"}, "outputs.safetensors does not match its digest"),
        (lambda files: {**files, ABOUT: b"[]"}, "record.json is no table"),
    ],
)
def test_a_record_must_be_whole_by_its_own_digests_too(filled, archive_of, tmp_path, harm, reason):
    """The archive's digests are right: they are of what somebody packed."""
    files = dict(members(filled(), KEYS[:1]))
    short = {name.rpartition("/")[2]: content for name, content in files.items()}
    path = archive_of([(f"records/{KEYS[0]}/{name}", content) for name, content in harm(short).items()])
    target = Store(tmp_path / "target")

    with pytest.raises(UsageError, match=f"record {KEYS[0][:12]}: .*{reason}.*; nothing was imported"):
        merge(open_archive(path), target)
    assert tree(target.root) == {}


def test_a_record_under_another_key(filled, archive_of, tmp_path):
    files = [(name.replace(KEYS[0], KEYS[1]), content) for name, content in members(filled(), KEYS[:1])]

    with pytest.raises(UsageError, match=f"record {KEYS[1][:12]}: it says that it is {KEYS[0][:12]}"):
        merge(open_archive(archive_of(files)), Store(tmp_path / "target"))


def test_a_record_of_which_no_table_can_be_made(filled, archive_of, tmp_path):
    source = filled(keys=KEYS[:1], cost={"seconds": "long"})

    with pytest.raises(UsageError, match="Input should be a valid number"):
        merge(open_archive(archive_of(members(source, KEYS[:1]))), Store(tmp_path / "target"))


def test_a_record_that_a_run_is_making(filled, archive_of, tmp_path):
    target = Store(tmp_path / "target")
    path = archive_of(members(filled()))

    with target.lock(KEYS[2]), pytest.raises(UsageError, match=f"is making the record {KEYS[2][:12]}"):
        merge(open_archive(path), target)
    assert records(target) == {}
    assert merge(open_archive(path), target).new == 3


def test_no_room(filled, archive_of, tmp_path, monkeypatch):
    path = archive_of(members(filled()))
    monkeypatch.setattr(merging.shutil, "disk_usage", lambda _: type("", (), {"free": 10}))

    with pytest.raises(UsageError, match=r"it needs [\d,]+ bytes; .* has 10 free"):
        merge(open_archive(path), Store(tmp_path / "target"))


def test_a_full_disk_in_the_middle_leaves_the_store_as_it_was(filled, archive_of, tmp_path, monkeypatch):
    path, target = archive_of(members(filled())), filled("target", ["ef" * 32])
    before, real = tree(target.root), Path.rename

    def full(self, place):
        if KEYS[2] in str(place) and "imports" not in str(place):
            raise OSError(28, "No space left on device")
        return real(self, place)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(UsageError, match="cannot be written: No space left on device; it is as it was"):
        merge(open_archive(path), target)

    assert tree(target.root) == before


KILLED = """
import os, signal, sys
from pathlib import Path
from mubench.storage.archive import open_archive
from mubench.storage.merge import merge
from mubench.storage.store import Store

count, real = int(sys.argv[3]), Path.rename
def rename(self, place):
    global count
    count -= 1
    if count < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, place)
Path.rename = rename
merge(open_archive(Path(sys.argv[1])), Store(Path(sys.argv[2])))
"""


@pytest.mark.parametrize("moved", [0, 2])
def test_a_killed_import_is_undone_by_whoever_reads_next(filled, archive_of, tmp_path, moved):
    path, target = archive_of(members(filled())), filled("target", ["ef" * 32])
    before = tree(target.root)
    done = subprocess.run(
        [sys.executable, "-P", "-c", KILLED, path, target.root, str(moved)], capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(records(target)) == len(before) + 2 * moved

    assert Store(target.root).get(KEYS[0]) is None

    assert tree(target.root) == before
    assert merge(open_archive(path), Store(target.root)).new == 3


def test_what_a_run_made_since_the_kill_stays(filled, archive_of, tmp_path):
    """The journal names a record, and a run has made it anew before anybody looked."""
    target = filled("target", KEYS[:1])
    folder = target.root / "imports" / "dead"
    folder.mkdir(parents=True)
    value = {f"records/ab/{KEYS[0]}": [ABOUT, "0" * 64]}
    from mubench.storage.files import save_json

    save_json(folder / "journal.json", value)

    assert Store(target.root).get(KEYS[0]) is not None
    assert not folder.exists()


def test_an_import_that_goes_on_is_left_alone(tmp_path):
    with staging(tmp_path) as place:
        assert Store(tmp_path).get(KEYS[0]) is None
        assert place.folder.is_dir()
    assert not place.folder.exists()


@pytest.mark.parametrize("same", [True, False])
def test_two_imports_at_once(filled, archive_of, tmp_path, same):
    """Of the same records both succeed; of conflicting ones exactly one does, with all of its records."""
    one = archive_of(members(filled("a")), "a.zip")
    two = archive_of(members(filled("b", seed=0 if same else 1)), "b.zip")
    target, barrier, said = Store(tmp_path / "target"), threading.Barrier(2), []

    def work(path):
        barrier.wait()
        try:
            said.append(merge(open_archive(path), Store(target.root)).new)
        except UsageError as error:
            said.append(str(error))

    threads = [threading.Thread(target=work, args=(path,)) for path in (one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(records(target)) == 6
    assert all(Store(target.root).get(key) for key in KEYS)
    if same:
        assert sorted(said) == [0, 3]
    else:
        assert 3 in said
        assert any("another outcome" in str(s) for s in said)
        winner = {json.loads(c)["sealed"] for n, c in records(target).items() if n.endswith(ABOUT)}
        sources = [
            {json.loads(c)["sealed"] for n, c in records(s).items() if n.endswith(ABOUT)}
            for s in (Store(tmp_path / "a"), Store(tmp_path / "b"))
        ]
        assert winner in sources


def test_failures_of_imported_cells_are_forgotten(filled, archive_of, tmp_path):
    target = Store(tmp_path / "target")
    target.put_failure(KEYS[0], "it broke")

    merge(open_archive(archive_of(members(filled()))), target)

    assert target.failure(KEYS[0]) is None


def test_an_import_ends_by_ctrl_c_as_if_it_had_not_begun(filled, archive_of, tmp_path, monkeypatch):
    target, real = Store(tmp_path / "target"), merging._move
    moved = []

    def interrupted(it, *rest):
        if moved:
            os.kill(os.getpid(), signal.SIGINT)
        real(it, *rest)
        moved.append(it)

    monkeypatch.setattr(merging, "_move", interrupted)
    with pytest.raises(KeyboardInterrupt):
        merge(open_archive(archive_of(members(filled()))), target)

    assert moved
    assert tree(target.root) == {}
