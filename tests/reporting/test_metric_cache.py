"""Each metric of a row is computed once, and again only when something that decides it has changed."""

from dataclasses import replace

import pytest

from mubench.discovery.find import Catalogue
from mubench.reporting import metric_cache
from mubench.reporting.cells import cells_frame
from mubench.reporting.evaluate import evaluate_row
from mubench.reporting.metric_cache import row_values
from mubench.reporting.results import from_plan

METRICS = Catalogue().metrics.specs


@pytest.fixture
def computed(monkeypatch):
    """The names of the metrics that were computed, as they are."""
    names = []
    evaluate = metric_cache.evaluate_metric

    def spy(spec, *arguments):
        names.append(spec.name)
        return evaluate(spec, *arguments)

    monkeypatch.setattr(metric_cache, "evaluate_metric", spy)
    return names


@pytest.fixture
def ran(bench):
    """The records of FT at two seeds, those of the rows beside it, and their store."""
    plan, _, store = bench("seeds = [0, 1]\nfloor = 1\nmethods = { Retrain = {}, FT = { epochs = 1 } }")
    keys = {row.name: row.keys for row in plan.rows}
    names = ("FT", "Retrain", "Original", "Retrain (again)")
    rows, references, originals, again = ([store.get(keys[n][seed]) for seed in (0, 1)] for n in names)
    beside = {"references": references, "originals": originals, "retrains": [[one] for one in again]}
    return rows, beside, store


def test_every_metric_is_computed_once(ran, computed):
    rows, beside, store = ran
    first = row_values(rows, beside, store, METRICS, {})
    assert computed == list(METRICS)
    given = {name: [r.outputs() for r in beside[name]] for name in ("references", "originals")}
    retrains = [[one.outputs() for one in of_seed] for of_seed in beside["retrains"]]
    assert first == evaluate_row(METRICS, [r.outputs() for r in rows], **given, retrains=retrains)
    assert row_values(rows, beside, store, METRICS, {}) == first
    assert computed == list(METRICS)


def test_only_what_changed_is_computed_again(ran, computed, monkeypatch):
    rows, beside, store = ran
    row_values(rows, beside, store, METRICS, {})
    computed.clear()

    row_values(rows, beside, store, {**METRICS, "ua": replace(METRICS["ua"], source="edited")}, {})
    assert computed == ["ua"]
    computed.clear()
    row_values(rows, beside, store, METRICS, {"mia": {"pool": False}})
    assert computed == ["mia"]
    computed.clear()
    row_values(rows[:1], {}, store, {"ua": METRICS["ua"]}, {})
    assert computed == ["ua"]
    computed.clear()
    for name, others, needs in (
        ("references", rows, {"pair", "row_pair"}),
        ("originals", rows, {"original", "retrains"}),
        ("retrains", [[one] for one in rows], {"retrains"}),
    ):
        row_values(rows, {**beside, name: others}, store, METRICS, {})
        assert {METRICS[n].needs for n in computed} == needs
        computed.clear()


def test_a_library_counts_only_for_what_imports_it(ran, computed, monkeypatch):
    rows, beside, store = ran
    row_values(rows, beside, store, METRICS, {})
    computed.clear()
    metric_cache._libraries.cache_clear()
    version = metric_cache.version
    monkeypatch.setattr(metric_cache, "version", lambda d: "0" if d == "scikit-learn" else version(d))

    row_values(rows, beside, store, METRICS, {})

    assert computed == ["mia_svc"]
    metric_cache._libraries.cache_clear()


def test_what_hands_out_the_outputs_counts_for_all(ran, computed, monkeypatch):
    rows, beside, store = ran
    row_values(rows, beside, store, METRICS, {})
    computed.clear()
    monkeypatch.setattr(metric_cache, "_base", lambda: ["edited"])

    row_values(rows, beside, store, METRICS, {})

    assert computed == list(METRICS)


def test_a_store_that_cannot_be_written_is_no_hindrance(ran, monkeypatch):
    rows, beside, store = ran

    def refuse(*_, **_options):
        raise PermissionError("read-only")

    monkeypatch.setattr("mubench.storage.store.save_json", refuse)
    assert len(row_values(rows, beside, store, METRICS, {})) == 2


def test_no_retrain_is_measured_beside_itself(bench, monkeypatch):
    plan, _, store = bench("seeds = [0, 1]\nfloor = 2\nmethods = { Retrain = {}, FT = { epochs = 1 } }")
    name_of = {key: row.name for row in plan.rows for key in row.keys.values()}
    beside = {}

    def spy(records, given, *_):
        def named(some):
            return [named(r) if isinstance(r, list) else name_of[r.about["key"]] for r in some]

        beside[name_of[records[0].about["key"]]] = {name: named(of) for name, of in given.items()}
        assert [r.about["seed"] for r in given["originals"]] == [0, 1]
        return [{} for _ in records]

    monkeypatch.setattr("mubench.reporting.cells.row_values", spy)
    cells_frame(from_plan(plan, "tiny", {}), store, METRICS)

    again = ["Retrain (again)", "Retrain (again 2)"]
    assert {name: given["retrains"] for name, given in beside.items()} == {
        "FT": [again, again],
        "Retrain": [again, again],
        "Original": [again, again],
        "Retrain (again)": [["Retrain", "Retrain (again 2)"]] * 2,
        "Retrain (again 2)": [["Retrain (again)", "Retrain"]] * 2,
    }
    assert {tuple(given["references"]) for given in beside.values()} == {("Retrain", "Retrain")}
    assert {tuple(given["originals"]) for given in beside.values()} == {("Original", "Original")}


def test_without_a_further_retrain_what_needs_it_is_left_out(bench):
    plan, _, store = bench("methods = { Retrain = {}, FT = { epochs = 1 } }")

    frame = cells_frame(from_plan(plan, "tiny", {}), store, METRICS)

    assert "rf_jsd" in frame
    assert not {"rmia", "iam"} & set(frame)
