"""A trial's score: its gap to Retrain on validation images, set by set."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.svm import SVC

from mubench.discovery.find import Catalogue
from mubench.errors import UsageError
from mubench.reporting import metric_cache
from mubench.storage.store import Record
from mubench.tuning import score
from mubench.tuning.development import Trial
from mubench.tuning.score import OnValidation, scores

FT = Trial("FT", "FT", {})
FLAT = dict.fromkeys(("ra", "ta", "mia", "mia_svc"), 50.0)


@pytest.fixture
def fake(monkeypatch):
    """`fake(values)`: the values of each row by set, in the order in which rows are scored."""

    def put(values):
        made = iter(values)
        monkeypatch.setattr(score, "_values", lambda *_: next(made))

    return put


def test_validation_stands_in_for_test_under_a_key_of_its_own(bench):
    plan, _, store = bench()
    record = store.get(plan.rows[0].keys[0])

    seen, whole = OnValidation.of(record), record.outputs()

    assert seen.outputs().logits.keys() == {"forget", "retain", "test"}
    assert (seen.outputs().logits["test"] == whole.logits["val"]).all()
    assert (seen.outputs().labels["test"] == whole.labels["val"]).all()
    assert not np.array_equal(whole.logits["val"], whole.logits["test"])
    assert seen.about["key"] != record.about["key"]
    assert isinstance(record, Record)


def test_a_score_is_the_gap_on_validation_images_set_by_set(bench):
    plan, _, store = bench('methods = ["FT", "GA"]', tables="[metrics.mia_svc]\nstored_order = true")

    found = scores(plan, [FT, Trial("GA", "GA", {})], store, Catalogue())

    def four(row):
        out = store.get(next(r for r in plan.rows if r.name == row).keys[0]).outputs()
        sure, wrong = {}, {}
        for part in ("forget", "retain", "val"):
            logits, labels = out.logits[part].astype(float), out.labels[part]
            sure[part] = softmax(logits, axis=1)[np.arange(len(labels)), labels][:, None]
            wrong[part] = 100 * np.mean(logits.argmax(1) != labels)
        n = len(sure["val"])
        machine = SVC(C=3, gamma="auto", kernel="rbf")
        machine.fit(np.concatenate([sure["retain"][:n], sure["val"]]), [1] * n + [0] * n)
        mia = 100 * np.mean(machine.predict(sure["forget"]) == 0)
        return [wrong["forget"], wrong["retain"], wrong["val"], mia]

    for name in ("FT", "GA"):
        apart = np.abs(np.subtract(four(name), four("Retrain")))
        assert found[name].value == pytest.approx(apart.mean())
        assert found[name].means["ua"] == pytest.approx(four(name)[0])


def test_the_suites_headline_scores(bench, fake):
    plan, _, store = bench('methods = ["FT"]\nheadline = "mia"')
    four = {"ua": 50.0, "ra": 50.0, "ta": 50.0}
    fake([[{**four, "mia": 0.0, "mia_svc": 0.0}], [{**four, "mia": 8.0, "mia_svc": 100.0}]])

    assert scores(plan, [FT], store, Catalogue())["FT"].value == 2.0


def test_options_of_a_metric_that_does_not_count_are_let_be(bench):
    plan, _, store = bench('methods = ["FT"]', tables="[metrics.auc]")

    assert scores(plan, [FT], store, Catalogue())["FT"].value is not None


def test_a_score_compares_with_the_mean_of_all_retrains_of_a_set(bench, fake):
    plan, _, store = bench('methods = ["FT"]\nfloor = 2')
    fake([[{"ua": ua, **FLAT}] for ua in (10.0, 13.0, 16.0, 5.0)])

    assert scores(plan, [FT], store, Catalogue())["FT"].value == 8 / 4


def test_an_unstable_trial_scores_worse_than_its_mean(bench, fake):
    plan, _, store = bench('seeds = [0, 1]\nmethods = ["FT", "GA"]')
    fake([[{"ua": float(ua), **FLAT} for ua in of_row] for of_row in ([10, 10], [4, 16], [8, 8])])

    found = scores(plan, [FT, Trial("GA", "GA", {})], store, Catalogue())

    assert found["FT"].means["ua"] == 10
    assert (found["FT"].value, found["GA"].value) == (6 / 4, 2 / 4)


def test_numbers_of_the_first_sets_are_not_computed_again_when_more_join(bench, monkeypatch):
    plan, _, store = bench('seeds = [0, 1]\nmethods = ["FT"]')
    first = bench('seeds = [0]\nmethods = ["FT"]', store=store, dry=True)
    computed = []
    real = metric_cache.evaluate_metric

    def spy(spec, records, *rest):
        computed.append(spec.name)
        return real(spec, records, *rest)

    monkeypatch.setattr(metric_cache, "evaluate_metric", spy)
    counts = []
    for one in (first, plan, plan):
        scores(one, [FT], store, Catalogue())
        counts.append(computed.count("mia_svc"))

    assert counts == [2, 4, 4], "Retrain and FT, then both at the second seed, then none"


def test_a_trial_that_failed_says_why_and_has_no_score(bench, plugin_file):
    path = plugin_file("""
    @method("Half", sees="forget")
    def half(model, task, *, fail: bool = False):
        if fail:
            raise ValueError("no")
    """)
    tables = '[[variants]]\nname = "a"\nbase = "Half"\nparameters = { fail = true }'
    plan, _, store = bench(plugins=[path], tables=tables)

    found = scores(plan, [Trial("a", "Half", {}), Trial("Half", "Half", {})], store, Catalogue())

    assert found["a"].value is None
    assert "ValueError: no" in found["a"].reason
    assert found["Half"].value is not None


def test_logits_that_are_not_finite_are_a_failed_trial(bench):
    plan, _, store = bench('methods = ["GA"]', tables="[methods.GA]\nlr = 1e30", drop=["methods"])

    failed = scores(plan, [Trial("GA", "GA", {})], store, Catalogue())["GA"]

    assert failed.value is None
    assert failed.reason


def test_without_a_retrain_nothing_can_be_compared(bench):
    plan, _, store = bench('methods = ["FT"]')
    reference = next(row for row in plan.rows if row.role == "reference")
    folder = store.folder(reference.keys[0])
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()

    with pytest.raises(UsageError, match="Retrain failed on a development forget set"):
        scores(plan, [FT], store, Catalogue())
