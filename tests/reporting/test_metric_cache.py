"""Each metric of a row is computed once, and again only when something that decides it has changed."""

from dataclasses import replace

import pytest

from mubench.discovery.find import Catalogue
from mubench.reporting import metric_cache
from mubench.reporting.evaluate import evaluate_row
from mubench.reporting.metric_cache import row_values

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
    """The records of FT and of Retrain at two seeds, and their store."""
    plan, _, store = bench("seeds = [0, 1]\nmethods = { Retrain = {}, FT = { epochs = 1 } }")
    keys = {row.name: row.keys for row in plan.rows}
    return *([store.get(keys[name][seed]) for seed in (0, 1)] for name in ("FT", "Retrain")), store


def test_every_metric_is_computed_once(ran, computed):
    rows, references, store = ran
    first = row_values(rows, references, store, METRICS, {})
    assert computed == list(METRICS)
    assert first == evaluate_row(METRICS, [r.outputs() for r in rows], [r.outputs() for r in references])
    assert row_values(rows, references, store, METRICS, {}) == first
    assert computed == list(METRICS)


def test_only_what_changed_is_computed_again(ran, computed, monkeypatch):
    rows, references, store = ran
    row_values(rows, references, store, METRICS, {})
    computed.clear()

    row_values(rows, references, store, {**METRICS, "ua": replace(METRICS["ua"], source="edited")}, {})
    assert computed == ["ua"]
    computed.clear()
    row_values(rows, references, store, METRICS, {"mia": {"pool": False}})
    assert computed == ["mia"]
    computed.clear()
    row_values(rows[:1], references[:1], store, {"ua": METRICS["ua"]}, {})
    assert computed == ["ua"]
    computed.clear()
    row_values(rows, rows, store, METRICS, {})
    assert {METRICS[name].needs for name in computed} == {"pair", "row_pair"}


def test_a_library_counts_only_for_what_imports_it(ran, computed, monkeypatch):
    rows, references, store = ran
    row_values(rows, references, store, METRICS, {})
    computed.clear()
    metric_cache._libraries.cache_clear()
    version = metric_cache.version
    monkeypatch.setattr(metric_cache, "version", lambda d: "0" if d == "scikit-learn" else version(d))

    row_values(rows, references, store, METRICS, {})

    assert computed == ["mia_svc"]
    metric_cache._libraries.cache_clear()


def test_what_hands_out_the_outputs_counts_for_all(ran, computed, monkeypatch):
    rows, references, store = ran
    row_values(rows, references, store, METRICS, {})
    computed.clear()
    monkeypatch.setattr(metric_cache, "_base", lambda: ["edited"])

    row_values(rows, references, store, METRICS, {})

    assert computed == list(METRICS)


def test_a_store_that_cannot_be_written_is_no_hindrance(ran, monkeypatch):
    rows, references, store = ran

    def refuse(*_):
        raise PermissionError("read-only")

    monkeypatch.setattr("mubench.storage.store.save_json", refuse)
    assert len(row_values(rows, references, store, METRICS, {})) == 2
