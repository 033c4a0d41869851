"""A cell's way to a machine that sees nothing of this one, and its record's way back, without any cluster."""

import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mubench.engines._parcel import needs, read
from mubench.engines._place import Place, Scratch
from mubench.planning import data_cache
from mubench.planning.cell import CELL
from mubench.planning.data_cache import load_dataset
from mubench.running.bench import DATA_CHANGED
from mubench.running.executor import execute
from mubench.running.outcome import REPLY
from mubench.storage.store import Store

PLUGIN = """
from mubench import method

@method("mine", sees="forget")
def mine(model, task):
    print("I was here")
    for p in model.parameters():
        p.data.mul_(0.5)
"""
SUITE = 'dataset = "digits"\nbatch_size = 128\nmethods = ["mine"]\nfloor = false'


@pytest.fixture
def away(tmp_path, monkeypatch):
    """A temporary folder of the other machine."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "away"))
    (tmp_path / "away").mkdir()
    return tmp_path / "away"


@contextmanager
def out_of_sight(*paths):
    """These files and folders have other names inside."""
    for path in paths:
        path.rename(f"{path}.hidden")
    try:
        yield
    finally:
        for path in paths:
            Path(f"{path}.hidden").rename(path)


@pytest.fixture
def place(away):
    """The far end, on this machine."""
    made = Place("run", 1, "cpu")
    yield made
    made.close()
    assert list(away.rglob("*.npy")) == [], "it left something behind"


def sent(cell, store, place):
    """Send what a cell needs and the place lacks; the first folder of each path."""
    wanted = needs(cell, store)
    lacking = place.lacks(list(wanted))
    for path in lacking:
        place.take(path, read(wanted[path]))
    return [path.partition("/")[0] for path in lacking]


def test_what_a_cell_needs_goes_there_and_its_record_comes_back_the_same(bench, home, plugin_file, place):
    plugin = plugin_file(PLUGIN, head="")
    plan = bench(SUITE, [plugin], dry=True)
    store, local = Store(home / "store"), Store(home / "local")
    shutil.copytree(store.root / "data", local.root / "data")
    cells = [c for c in plan.missing(store) if c.spec is None or c.spec.name in ("mine", "Retrain")]
    execute(cells, local, 0)
    original, retrain, mine = cells
    went = {}
    for cell in cells:
        went[cell.key] = sent(cell, store, place)
        with out_of_sight(plugin, store.root):
            words, files, log, timing = place.run(CELL.dump_json(cell, by_alias=True))
        assert REPLY.validate_json(words).status == "ok"
        assert timing["seconds"] > 0
        store.adopt(cell.key, files)

    assert went == {original.key: ["data"], retrain.key: [], mine.key: ["plugins"]}
    assert b"I was here" in log
    for cell in cells:
        assert store.get(cell.key).about["files"] == local.get(cell.key).about["files"]  # digests of arrays


def test_an_original_of_another_machine_goes_along(bench, home, place):
    plan = bench(SUITE.replace('["mine"]', '["Original"]'), dry=True)
    store = Store(home / "store")
    original, _, untouched = plan.missing(store)
    execute([original], store, 0)

    assert sent(untouched, store, place) == ["data", "records"]
    words, files, _, _ = place.run(CELL.dump_json(untouched, by_alias=True))

    assert REPLY.validate_json(words).status == "ok"
    store.adopt(untouched.key, files)
    assert store.get(untouched.key).about["original"] == original.key


def test_other_images_than_those_that_were_planned_for_fail_the_cell(bench, home, place):
    cell = bench(SUITE.replace('["mine"]', "[]"), dry=True).cells[0]
    data = cell.setting.data
    raw = load_dataset(data.dataset, data.options, home / "store" / "data").raw
    other = replace(raw, images=raw.images[::-1].copy())
    data_cache._write(other, data_cache._digest(other), home / "other")
    place.take(f"data/{data.digest}", read(home / "other"))

    words, files, _, _ = place.run(CELL.dump_json(cell, by_alias=True))

    assert REPLY.validate_json(words).status == "failed"
    assert DATA_CHANGED in REPLY.validate_json(words).reason
    assert not files


class TestScratch:
    def test_it_goes_with_the_last_place(self, tmp_path):
        one, two = Scratch("run", tmp_path), Scratch("run", tmp_path)
        (one.root / "data").write_text("x")

        one.close()
        assert (two.root / "data").exists()
        two.close()
        assert list(tmp_path.iterdir()) == []

    def test_what_a_killed_run_left_behind_goes_with_the_next_run(self, tmp_path):
        for name in ("old", "older"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "data").write_text("x")
        (tmp_path / "old.lock").touch()
        alive = Scratch("alive", tmp_path)

        Scratch("new", tmp_path).close()

        assert sorted(p.name for p in tmp_path.iterdir()) == ["alive", "alive.lock"]
        alive.close()
