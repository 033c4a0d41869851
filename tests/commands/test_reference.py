"""`mubench run --reference`: rows of another machine's run beside those that are trained here."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from renderings import content

import mubench
import mubench.benchmarks as benchmarks
import mubench.commands.reference as reference
from mubench import method
from mubench.commands.request import Request, prepare_with_reference
from mubench.storage.store import Store

MINE = """
@method("mine", sees="forget")
def mine(model, task):
    with torch.no_grad():
        model.head.weight.mul_(0.5)
"""
NUMBERS = ["ua", "ra", "ta", "mia", "mia_svc", "rte", "key"]


@pytest.fixture
def abroad(tiny, monkeypatch):
    """The tiny suite was run and exported elsewhere; here the processor is another and the store empty."""
    monkeypatch.setattr("mubench.planning.plan.processor", lambda _: {"model": "another"})
    return tiny


@pytest.fixture
def beside(call, plugin_file):
    """`beside(*options)`: a run against the reference; (exit code, stdout, stderr)."""
    plugin = plugin_file(MINE)

    def run(*words, archive="numbers.zip"):
        options = ("--suite", "tiny.toml", "--plugin", plugin, "--jobs", 0, "--device", "cpu")
        return call("run", *options, "--store", "here", "--out", "here-out", "--reference", archive, *words)

    return run


def cells(folder):
    return pd.read_csv(folder / "cells.csv").set_index(["method", "seed"])


def test_only_the_plugin_and_its_originals_are_trained(abroad, beside):
    code, _, err = beside()

    assert code == 0, err
    assert "2 cells, 0 of them in the store" in err
    records = list((abroad / "here" / "records").glob("*/*"))
    trained = [Store(abroad / "here").get(p.name).about["method"] for p in records]
    assert sorted(trained, key=str) == [None, "mine"]
    here, there = cells(abroad / "here-out"), cells(abroad / "out")
    pd.testing.assert_frame_equal(here.loc[there.index, NUMBERS], there[NUMBERS])
    assert here.loc["mine", "ua"].notna().all()
    assert here.loc["mine", "status"].eq("ok").all()


def test_the_table_says_where_which_row_ran(abroad, beside, call):
    _, out, _ = beside()

    assert re.search(
        r"Reference: Retrain, Original, FT, GA: not trained here, made on: .*torch .*mubench", out
    )
    assert "RTE of mine: on this machine; times compare only between rows of one machine" in out
    numbers = pd.read_csv(abroad / "here-out" / "table.csv").set_index("method")
    assert numbers["rte_ratio"].notna().to_dict() == {
        "Retrain": True,
        "Original": True,
        "FT": True,
        "GA": True,
        "mine": False,
    }
    assert numbers.loc["mine", "avg_gap_svc"] > 0
    before = content(abroad / "here-out")
    assert call("render", "here-out", "--store", "here")[0] == 0
    assert content(abroad / "here-out") == before


def test_what_is_changed_is_trained_here(abroad, beside):
    code, out, err = beside("--set", "methods.FT.lr=0.02")

    assert code == 0
    assert "3 cells" in err
    assert "Reference: Retrain, Original, GA: not trained here" in out
    assert "RTE of FT, mine: on this machine" in out


def test_a_dry_run_says_what_would_be_trained_and_writes_no_record(abroad, beside):
    code, out, _ = beside("--dry-run")

    assert code == 0
    assert re.search(r"mine +│ 1 +│ 0", out)
    assert "Not trained, from numbers.zip: Retrain, Original, FT, GA" in out
    assert not (abroad / "here" / "references").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--set", "original.epochs=2"), r"it has no row of this suite: original is .*'epochs': 1"),
        (("--set", "model=small-mlp"), "model is small-cnn in it, here small-mlp"),
        (("--set", "val_percent=20"), "its split at seed 0 is not that of the suite here"),
        (("--set", "forget.percent=30"), "its split at seed 0 is not that of the suite here"),
        (("--set", "data.train_per_class=20"), "its data are not those of the suite here"),
        (("--set", "seeds=[7]"), "it has no row of this suite: it has no seed 7"),
    ],
)
def test_another_setting_is_refused(abroad, beside, words, reason):
    code, _, err = beside(*words)

    assert code == 2
    assert re.search(reason, err)
    assert err.count("\n") == 1
    assert not list((abroad / "here" / "records").glob("*/*"))


def test_of_another_version(abroad, beside, monkeypatch):
    monkeypatch.setattr(reference, "NUMERICS", -1)

    code, _, err = beside()

    assert code == 2
    assert "whose numbers do not compare with this version's" in err


def test_an_archive_without_numbers(abroad, beside, call):
    assert call("store", "export", "-o", "records.zip")[0] == 0

    assert "it holds no numbers of a suite; export it with --suite" in beside(archive="records.zip")[2]


def test_from_python(abroad):
    @method("mine", sees="forget")
    def mine(model, task):
        """Nothing."""

    results = mubench.run("tiny.toml", [mine], reference="numbers.zip", store="here", jobs=0, quiet=True)

    assert list(results.table.index) == ["Retrain", "Original", "mine"]
    there = cells(abroad / "out")
    assert results.table.loc["Retrain", "ua"] == there.loc[("Retrain", 0), "ua"]
    assert len(list((abroad / "here" / "records").glob("*/*"))) == 2
    assert "Reference: Retrain, Original: not trained here" in str(results)


def test_the_one_beside_the_suite(abroad, beside, call):
    code, _, err = beside(archive="beside")
    assert code == 2
    assert "--reference: no reference of 'tiny' comes along; there are those of no suite; name" in err

    (abroad / "numbers.zip").rename(abroad / "tiny.reference.zip")
    assert beside(archive="beside")[0] == 0
    manifest = json.loads((abroad / "here-out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["timed_apart"] == ["mine"]


SHIPPED = sorted(Path(benchmarks.__path__[0]).glob("*.reference.zip"))


@pytest.mark.parametrize("archive", SHIPPED, ids=lambda path: path.name)
def test_what_comes_along_has_every_row_of_its_suite(home, archive):
    """Else the suite, a method or a model has changed since: see docs/store.md for how it is made anew."""
    name = archive.name.removesuffix(".reference.zip")
    plan, found = prepare_with_reference(Request(name, Store(home / "store"), reference="beside"))

    assert found.here == ()
    assert plan.cells == []
    assert archive.stat().st_size < 400_000
