"""Every class forgotten in turn: the same cells as class by class, and one folder of all of them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from mubench.cli import main
from mubench.commands.request import Request
from mubench.commands.tune import tune_suite
from mubench.discovery.find import Catalogue
from mubench.errors import UsageError
from mubench.planning import data_cache
from mubench.planning import plan as harness
from mubench.storage.store import Store

DATASETS = Catalogue().datasets

EVERY = 'forget = { scenario = "class", class = "all" }\nmethods = { Retrain = {}, FT = { epochs = 1 } }'
ONE = EVERY.replace('"all"', "1")
TABLES = ("table.md", "table.tex", "table-standalone.tex", "table.csv", "cells.csv", "manifest.json")
PICKY = """
@method("Picky", sees="forget")
def picky(model, task):
    for _, y in task.forget:
        if (y == 1).all():
            raise RuntimeError("not that one")

@method("Elsewhere", sees="forget", scenarios=("random",))
def elsewhere(model, task):
    pass
"""


def invoke(*arguments):
    result = CliRunner().invoke(main, list(map(str, arguments)), catch_exceptions=False)
    return result.exit_code, result.output


@pytest.fixture
def whole(home, made_up, suite_file):
    """`whole(change, *options, out="out")`: a run in this process; (exit code, output, its folder)."""

    def run(change=EVERY, *options, out="out"):
        path = suite_file(f"seeds = [0, 1]\n{change}")
        code, said = invoke("run", "--suite", path, "--out", out, "--jobs", 0, "--device", "cpu", *options)
        return code, said, home / out

    return run


def test_the_cells_are_those_of_each_classs_own_suite(bench):
    every = bench(f"seeds = [0, 1]\nfloor = true\n{EVERY}", dry=True)

    assert [b.label for b in every.blocks] == ["a", "b", "c"]
    for k, block in enumerate(every.blocks):
        own = bench(f"seeds = [0, 1]\nfloor = true\n{EVERY}", dry=True, set_options=(f"forget.class={k}",))
        (one,) = own.blocks
        assert [row.keys for row in block.rows] == [row.keys for row in one.rows]
        assert {c.key for c in own.cells} <= {c.key for c in every.cells}
    # Retrain, Original, Retrain (again) and FT, for 3 classes and 2 seeds, from 2 originals
    assert len(every.cells) == len({c.key for c in every.cells}) == 2 + 4 * 3 * 2
    assert [c.spec is None for c in every.cells] == [True, True] + [False] * 24


def test_what_one_class_has_trained_is_not_trained_again(bench):
    _, outcomes, store = bench(ONE)
    assert len(outcomes) == 4

    every = bench(EVERY, dry=True)
    left = every.missing(store)

    assert len(every.cells) - len(left) == 4
    assert {c.setting.forget.target for c in left} == {0, 2}


def test_each_block_is_what_the_classs_own_table_says(whole):
    code, said, out = whole()
    assert code == 0, said
    assert "20 cells, 0 of them in the store" in said
    table, cells = (pd.read_csv(out / f"{n}.csv") for n in ("table", "cells"))

    assert table.columns[0] == cells.columns[0] == "class"
    assert table["class"].unique().tolist() == ["a", "b", "c", "mean"]
    assert table["method"].tolist() == ["Retrain", "Original", "FT"] * 4
    assert len(cells) == 3 * 3 * 2

    code, said, own = whole(EVERY, "--set", "forget.class=1", out="own")
    assert code == 0
    assert "8 of them in the store" in said
    for name, found in (("table", table), ("cells", cells)):
        block = found[found["class"] == "b"].drop(columns="class").reset_index(drop=True)
        pd.testing.assert_frame_equal(block, pd.read_csv(own / f"{name}.csv"), check_exact=True)


def test_the_folder_holds_everything_and_renders_to_the_same_bytes(whole, home):
    code, _, out = whole()
    assert code == 0
    before = {name: (out / name).read_bytes() for name in TABLES}
    manifest = json.loads(before["manifest.json"])
    pictures = sorted(p.name for p in (out / "plots").iterdir())

    assert pictures == [".digest", *(f"gap_by_class.{ending}" for ending in ("pdf", "png", "svg"))]
    assert manifest["rows"] == []
    assert list(manifest["classes"]) == list(manifest["splits"]) == ["a", "b", "c"]
    assert manifest["resolved"]["forget"] == {"scenario": "class", "class": "all"}
    digests = {s["0"]["forget"]["sha256"] for s in manifest["splits"].values()}
    assert len(digests) == 3
    assert "each of the 3 classes in turn, 36 to forget" in manifest["notes"][0]

    for target, options in ((out, ()), (home / "tiny.toml", ("--out", "again"))):
        (out / "table.md").unlink(missing_ok=True)
        code, said = invoke("render", target, *options)
        assert code == 0, said
        rendered = home / "again" if options else out
        for name in TABLES[:-1]:
            assert (rendered / name).read_bytes() == before[name], name


def test_a_method_that_fails_at_one_class_has_no_mean(whole, plugin_file):
    code, said, out = whole(EVERY, "--plugin", plugin_file(PICKY))
    table = pd.read_csv(out / "table.csv").set_index(["method", "class"])

    assert code == 1
    assert table.loc["Picky", "status"].to_dict() == {"a": "ok", "b": "FAILED", "c": "ok", "mean": "FAILED"}
    assert table.loc[("Picky", "mean"), "ua":].isna().all()
    assert table.loc[("Picky", "c"), "ua":"avg_gap_svc"].notna().all()
    assert (table.loc["FT", "status"] == "ok").all()
    assert "Picky (b) failed at seeds 0, 1: RuntimeError: not that one" in said
    text = (out / "table.md").read_text(encoding="utf-8")
    assert "- Picky (b): FAILED. RuntimeError: not that one" in text
    assert text.count("- Elsewhere: skipped. not for class forgetting, only random") == 1


def test_two_classes_of_one_name_stay_two(bench, raw, monkeypatch):
    _rename(monkeypatch, raw, ("a", "b", "a"))

    assert [b.label for b in bench(EVERY, dry=True).blocks] == ["a (0)", "b", "a (2)"]


def test_a_dataset_of_one_class(bench, raw, monkeypatch):
    _rename(monkeypatch, replace(raw, labels=np.zeros_like(raw.labels)), ("a",))

    with pytest.raises(
        UsageError, match=r'forget\.class = "all" needs at least two classes; the dataset has 1'
    ):
        bench(EVERY, dry=True)


def test_a_class_that_has_a_name_but_no_images(bench, raw, monkeypatch):
    _rename(monkeypatch, raw, ("a", "b", "c", "d"))

    with pytest.raises(UsageError, match=r"forget set is empty: class 3 \(d\)"):
        bench(EVERY, dry=True)


def _rename(monkeypatch, raw, names):
    real = harness.load_dataset

    def load(*arguments):
        return replace(real(*arguments), raw=replace(raw, classes=names))

    monkeypatch.setattr(harness, "load_dataset", load)


def test_tuning_takes_one_class_at_a_time(home, made_up, suite_file):
    request = Request(str(suite_file(EVERY)), Store(Path("store")), device="cpu")

    with pytest.raises(UsageError, match=r"one class at a time: add --set forget\.class=0"):
        tune_suite(request, 1, 1, None)


def test_a_class_called_mean_keeps_its_block(whole, made_up, monkeypatch):
    real = data_cache.load_function
    named = {"classes": ("a", "mean", "c")}
    monkeypatch.setattr(data_cache, "load_function", lambda spec: lambda: replace(real(spec)(), **named))

    code, said, out = whole()

    assert code == 0, said
    assert pd.read_csv(out / "table.csv")["class"].unique().tolist() == ["a", "mean (1)", "c", "mean"]
