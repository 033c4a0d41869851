"""`mubench store prune`: what no suite needs goes, all else stays, and nobody's work is disturbed."""

import json
import os
import shutil

import pytest
from renderings import content

from mubench.storage.store import ABOUT, Store

WORDS = ("--suite", "tiny.toml", "--device", "cpu", "--jobs", 0)


@pytest.fixture
def installed(monkeypatch):
    """No suite is installed: planning all of them takes seconds."""
    files = {}
    monkeypatch.setattr("mubench.commands.needs.suite_files", lambda: files)
    return files


@pytest.fixture
def prune(tiny, installed, call):
    """`prune(*options)`: what the tiny suite does not need; (exit code, stdout, stderr)."""
    return lambda *words, suite="tiny.toml": call("store", "prune", "--suite", suite, *words)


@pytest.fixture
def store(tiny):
    """The tiny suite's store, with a copy of a record under a key that no suite has."""
    store = Store(tiny / "store")
    like(store)
    return store


NOBODYS = "ef" * 32


def like(store, key=NOBODYS, **changes):
    """A record like one of the suite's, under another key."""
    record = next(r for k in keys(store) if (r := store.get(k)).about["method"] == "FT")
    about = {n: v for n, v in record.about.items() if n not in ("files", "key")}
    from safetensors.numpy import load_file

    store.put(key, {**about, **changes}, load_file(record.folder / "outputs.safetensors"))


def keys(store):
    return sorted(p.name for p in (store.root / "records").glob("*/*"))


def age(path):
    """As if it had lain there for a day."""
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 86400), follow_symlinks=False)


def test_what_suites_need_stays_and_nothing_is_trained_again(store, tiny, prune, call):
    code, out, _ = prune("--yes")

    assert code == 0
    assert "5 records stay: suites need them." in out
    assert len(keys(store)) == 5
    assert NOBODYS not in keys(store)
    code, _, err = call("run", *WORDS, "--out", "again")
    assert (code, "5 cells, 5 of them in the store" in err) == (0, True)
    assert content(tiny / "again") == content(tiny / "out")


def test_a_dry_run_says_what_and_how_much_and_leaves_it(store, prune):
    before = keys(store)
    size = sum(p.stat().st_size for p in store.folder(NOBODYS).iterdir())

    code, out, _ = prune("--dry-run")

    assert code == 0
    assert f"{size / 1000:.1f} kB" in next(line for line in out.splitlines() if "no suite needs" in line)
    assert keys(store) == before


def test_nobody_can_be_asked_here(store, prune):
    code, _, err = prune()

    assert code == 2
    assert "give --yes to remove it, or --dry-run to look" in err
    assert NOBODYS in keys(store)


def test_installed_suites_and_plugins_count_too(store, tiny, prune, installed, call, plugin_file):
    plugin = plugin_file('@method("mine", sees="forget")\ndef mine(model, task):\n    pass\n')
    assert call("run", *WORDS, "--plugin", plugin, "--out", "mine")[0] == 0
    (tiny / "empty.toml").write_text((tiny / "tiny.toml").read_text().replace("seeds = [0]", "seeds = [5]"))

    assert "2 records stay" not in prune("--dry-run")[1]
    assert "6 records stay: suites need them." in prune("--dry-run", "--plugin", plugin)[1]
    assert "To be removed" in prune("--dry-run", suite="empty.toml")[1]
    installed["tiny"] = tiny / "tiny.toml"
    prune("--yes", "--plugin", plugin, suite="empty.toml")

    assert len(keys(store)) == 6


def test_what_a_running_process_works_on_stays(store, prune):
    running = Store(store.root)
    running.hold([NOBODYS])

    assert "1 records stay: running processes work on them." in prune("--yes")[1]
    assert NOBODYS in keys(store)
    del running
    prune("--yes")
    assert NOBODYS not in keys(store)


def test_a_record_that_is_being_made_stays(store, prune):
    with store.lock(NOBODYS):
        prune("--yes")
        assert NOBODYS in keys(store)


def test_a_run_says_what_it_works_on(store, tiny, call, plugin_file):
    """From inside a method, while it runs."""
    plugin = plugin_file(
        """
        @method("mine", sees="forget")
        def mine(model, task):
            from pathlib import Path
            from mubench.storage.holding import held
            task.log(held=len(held(Path("store").absolute())))
        """
    )
    assert call("run", *WORDS, "--plugin", plugin, "--out", "mine")[0] == 0

    records = [store.get(key).about for key in keys(store)]
    assert [r["notes"]["held"] for r in records if r["method"] == "mine"] == [6]


def test_other_machines_records_stay_unless_asked(store, prune):
    elsewhere = "cd" * 32
    like(store, elsewhere, environment={"hardware": "an abacus"})

    assert "1 records stay: other machines made them" in prune("--yes")[1]
    assert keys(store).count(elsewhere) == 1
    prune("--yes", "--elsewhere")
    assert elsewhere not in keys(store)


def test_imported_runs_stay_unless_asked(tiny, prune, call):
    shutil.rmtree(tiny / "store")
    assert call("store", "import", "numbers.zip")[0] == 0
    store = Store(tiny / "store")
    (folder,) = (store.root / "references").iterdir()
    key = next(iter(json.loads((folder / "manifest.json").read_text())["rows"][0]["keys"].values()))
    store.put(key, {"environment": {}}, {})
    age(folder)
    (tiny / "other.toml").write_text((tiny / "tiny.toml").read_text().replace("seeds = [0]", "seeds = [5]"))

    assert "1 records stay: they were imported" in prune("--yes", suite="other.toml")[1]
    assert keys(store) == [key]
    prune("--yes", "--elsewhere", suite="other.toml")
    assert keys(store) == []
    assert not folder.exists()


def test_records_of_suites_that_cannot_be_planned_stay(store, tiny, prune):
    """Its data are not here, so nobody can tell which keys it has."""
    text = (tiny / "tiny.toml").read_text()
    (tiny / "gone.toml").write_text(text.replace('"blobs"', '"folder"\ndata = { root = "gone" }'))
    like(store, "cd" * 32, dataset="folder")
    like(store, "aa" * 32, dataset="svhn")

    code, out, _ = prune("--yes", "--suite", "gone.toml")

    assert code == 0
    assert "Suites on folder cannot be planned: their data are not here." in out
    assert {"cd" * 32, "aa" * 32, NOBODYS} & set(keys(store)) == {"cd" * 32}


def test_what_has_no_key_goes_when_it_is_old_and_nothing_runs(store, prune):
    for name in ("damaged/x", "records/.ab-1.tmp", "splits/0.json", "arrays/0.npz", "data/blobs-0"):
        (store.root / name).mkdir(parents=True)
        age(store.root / name)
    for name in ("damaged/new", "arrays/new.npz"):
        (store.root / name).mkdir()
    needed = sorted(p.name for p in (store.root / "data").glob("blobs-*[0-9a-f]") if p.name != "blobs-0")
    for name in needed:
        age(store.root / "data" / name)
    running = Store(store.root)
    running.hold(["ab" * 32])
    assert "Suites built in Python" not in prune("--yes")[1]
    assert (store.root / "damaged" / "x").exists()
    del running

    assert "Suites built in Python do not count, and their records go too." in prune("--yes")[1]

    left = {str(p.relative_to(store.root)) for p in store.root.glob("*/*")}
    assert not left & {"damaged/x", "records/.ab-1.tmp", "splits/0.json", "arrays/0.npz", "data/blobs-0"}
    assert {"damaged/new", "arrays/new.npz", *(f"data/{name}" for name in needed)} <= left
    assert len(needed) == 1


def test_a_damaged_record_that_no_suite_needs_goes(store, prune):
    (store.folder(NOBODYS) / ABOUT).write_text("[")

    prune("--yes")

    assert NOBODYS not in keys(store)


def test_logs_and_failures_go_with_their_cells(store, prune):
    kept = keys(store)[0]
    for key in (kept, NOBODYS):
        store.put_failure(key, "it broke")

    prune("--yes")

    assert [p.stem for p in (store.root / "failures").iterdir()] == [kept]
