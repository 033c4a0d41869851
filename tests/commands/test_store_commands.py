"""`mubench store`: what is there, whether it is whole, and records that go from one store to another."""

import json
import re
import shutil

import pytest
from renderings import FILES, SUITE, content

from mubench.storage.archive import open_archive
from mubench.storage.store import ARRAYS, Store


@pytest.fixture
def filled(tiny):
    """The store of the tiny suite, which was run: an original, and Retrain, Original, FT and GA."""
    return Store(tiny / "store")


@pytest.fixture
def suite(tiny):
    return tiny / "tiny.toml"


def folders(store):
    return sorted(p.name for p in (store.root / "records").glob("*/*"))


def test_info_of_a_store_and_of_none(filled, call, home):
    code, out, _ = call("store", "info", "--json")

    kinds = json.loads(out)["kinds"]
    assert code == 0
    assert (kinds["records"]["count"], kinds["originals"]["count"]) == (4, 1)
    assert kinds["records"]["damaged"] == 0
    assert kinds["locks"]["damaged"] is None
    assert kinds["data"]["bytes"] > 1000
    text = call("store", "info")[1]
    assert re.search(r"records +│ outputs and cost of finished cells +│ +4 │ +\d", text)
    assert call("store", "info", "--store", home / "none")[1].endswith(": 0 B\nNothing is there yet.\n")
    assert not (home / "none").exists()


def test_verify_names_what_is_damaged_and_changes_nothing(filled, call):
    assert call("store", "verify")[:2] == (0, f"All {_checked(call)} are whole.\n")
    key = next(k for k in folders(filled) if (filled.folder(k) / ARRAYS).stat().st_size > 100)
    file = filled.folder(key) / ARRAYS
    data = bytearray(file.read_bytes())
    data[200] ^= 1
    file.write_bytes(data)

    code, out, _ = call("store", "verify")

    assert code == 1
    assert out.startswith(f"records {key}: outputs.safetensors does not match its digest (records/{key[:2]}/")
    assert "1 of " in out
    assert file.read_bytes() == data
    found = json.loads(call("store", "verify", "--json")[1])["damaged"]
    assert [(d["kind"], d["path"]) for d in found] == [("records", f"records/{key[:2]}/{key}")]


def test_a_plan_believes_what_a_record_says_and_a_run_reads_all_of_it(filled, call, suite, home):
    row = json.loads(call("plan", "--suite", suite, "--json")[1])["cells"][-1]
    (filled.folder(row["key"]) / ARRAYS).write_bytes(b"damaged")

    assert all(c["cached"] for c in json.loads(call("plan", "--suite", suite, "--json")[1])["cells"])
    _, out, err = call("run", "--suite", suite, "--out", home / "again")

    assert "a damaged record was set aside" in out + err
    assert call("store", "verify")[0] == 0


def _checked(call):
    return json.loads(call("store", "verify", "--json")[1])["checked"]


def test_a_round_trip_gives_the_same_table_without_training(filled, call, suite, home):
    assert call("store", "export", "--suite", suite, "-o", "a.zip")[0] == 0
    code, out, _ = call("store", "import", "a.zip", "--store", "other")
    assert (code, out.partition("\n")[0]) == (0, f"4 records are new: {home / 'other'}")

    words = ("--suite", suite, "--jobs", 0, "--device", "cpu", "--store", "other", "--out", "again")
    code, _, err = call("run", *words)

    assert code == 0
    assert "5 cells, 5 of them in the store" in err
    assert content(home / "again") == content(home / "out")
    assert len(folders(Store(home / "other"))) == 4
    shown = re.search(r"mubench render (\S+) --out", out)[1]
    assert call("render", shown, "--out", "third", "--store", "empty")[0] == 0
    assert content(home / "third", FILES[:4]) == content(home / "out", FILES[:4])


FILES = tuple(name for name in FILES if name != "manifest.json")


@pytest.mark.parametrize(("words", "count"), [((), 4), (("--weights",), 5), (("--numbers",), 0)])
def test_what_an_archive_of_a_suite_holds(filled, call, suite, words, count):
    code, _, err = call("store", "export", "--suite", suite, *words, "-o", "a.zip")

    archive = open_archive(next(suite.parent.glob("a.zip")))
    assert code == 0
    assert len(archive.records) == count
    assert sorted(archive.results) == ["cells.csv", "histograms.json", "manifest.json"]
    assert len(archive.about.twins) == 4
    assert ("original models stay here" in err) == (words == ())
    assert not any("data" in name or "arrays" in name for name in archive.about.files)


def test_an_archive_of_half_a_suite_says_so(filled, call, suite, home):
    store = Store(home / "store")
    paths = (store.folder(key) for key in folders(store))
    shutil.rmtree(next(path for path in paths if not (path / "weights.safetensors").exists()))

    code, _, err = call("store", "export", "--suite", suite, "-o", "a.zip")

    assert code == 0
    assert "1 of the suite's 5 cells have no record here" in err


def test_all_records_of_a_store(filled, call, suite):
    assert call("store", "export", "--weights", "-o", "all.zip")[0] == 0

    archive = open_archive(suite.parent / "all.zip")
    assert sorted(archive.records) == folders(filled)
    assert archive.results == []


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("export", "-o", "a.zip", "--numbers"), "name the suite: its numbers"),
        (("export", "-o", "a.zip", "--suite", "nonsense"), "unknown suite 'nonsense'"),
        (("export", "-o", "no/a.zip"), r"archive no/a\.zip: cannot be written: No such file or directory"),
        (("export", "-o", "a.zip", "--store", "empty"), "nothing to export: .*/empty has no records"),
        (("export",), "Missing option '--out' / '-o'"),
        (("import", "tiny.toml"), r"archive tiny\.toml: File is not a zip file; nothing of it is used"),
        (("import", "none.zip"), r"archive none\.zip: there is no such file"),
        (("inf",), "No such command 'inf'. Did you mean 'info'"),
        (("prune", "--suite", "none.toml"), "there is no such file"),
    ],
)
def test_wrong_words_are_refused_in_one_line(filled, call, words, reason):
    code, _, err = call("store", *words)

    assert code == 2
    assert re.search(reason, err)
    assert err.count("\n") == 1


def test_an_export_of_a_suite_that_was_not_run(call, suite_file):
    code, _, err = call("store", "export", "--suite", suite_file(SUITE), "-o", "a.zip")

    assert code == 2
    assert "nothing to render" in err or "mubench run" in err


def test_a_damaged_record_is_left_out_and_said(filled, call, suite):
    key = next(k for k in folders(filled) if (filled.folder(k) / ARRAYS).stat().st_size > 100)
    (filled.folder(key) / ARRAYS).write_bytes(b"")

    _, _, err = call("store", "export", "-o", "all.zip")

    assert "1 damaged records were left out" in err
    assert key not in open_archive(suite.parent / "all.zip").records
