"""Tuning: the same trials for every method, on development sets and validation images alone."""

import math

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.svm import SVC

from mubench.api.outputs import Outputs
from mubench.api.parameter import choice, log_uniform
from mubench.commands import search
from mubench.commands.search import Trial, as_toml, development, draw, explored, score, winners
from mubench.errors import UsageError

SPACE = {"lr": log_uniform(1e-4, 1e-1), "rho": choice(0.1, 0.5, 0.9)}


class MethodSpec:
    name, search = "X", SPACE


def test_draws_fill_the_space_and_are_always_the_same():
    points = draw(MethodSpec, 24)
    rates = np.log10([p["lr"] for p in points])

    assert points == draw(MethodSpec, 24)
    assert points[:8] == draw(MethodSpec, 8)
    assert {p["rho"] for p in points} == {0.1, 0.5, 0.9}
    # no third of the logarithmic range holds less than a quarter of the points
    assert min(np.histogram(rates, [-4, -3, -2, -1])[0]) >= 6


def test_draws_near_a_point_stay_within_a_tenth_of_the_range():
    points = draw(MethodSpec, 16, near={"lr": 1e-2, "rho": 0.9})

    assert all(abs(math.log10(p["lr"]) + 2) <= 0.3 + 1e-3 for p in points)
    assert len({p["lr"] for p in points}) > 10
    assert {p["rho"] for p in points} == {0.1, 0.5, 0.9}, "a choice is drawn from all its values"


def test_methods_without_a_search_space_cannot_be_tuned(prepared):
    suite, catalogue = prepared()

    with pytest.raises(UsageError, match="none of Retrain, Original declares a search space for random"):
        development(suite, catalogue, ["Retrain", "Original"], 2, 1)


@pytest.fixture
def prepared(bench):
    """`prepared(change)`: the suite of a plan, and the plugins."""
    from mubench.discovery.find import Catalogue

    def make(change=""):
        plan = bench(change, dry=True)
        return plan.suite, Catalogue()

    return make


def test_every_method_gets_the_same_trials_on_development_seeds(prepared):
    suite, catalogue = prepared()
    methods = ["FT", "SalUn", "CL"]
    first, trials = development(suite, catalogue, methods, 8, 3)
    best = {t.method: t.parameters for t in trials}
    _, more = development(suite, catalogue, methods, 8, 3, best)

    assert first.seeds == [1000, 1001, 1002]
    assert first.floor == suite.floor
    for method in methods:
        assert sum(t.method == method for t in trials) == explored(8) == 4
        assert sum(t.method == method for t in more) == 8
    assert [t for t in more if int(t.row.split("#")[1]) < 4] == trials


def test_validation_stands_in_for_test():
    logits = {n: np.full((2, 2), i, np.float32) for i, n in enumerate(("forget", "retain", "val", "test"))}
    labels = {n: np.zeros(2, np.int64) for n in logits}

    seen = search._on_validation(Outputs(logits, labels))

    assert seen.logits["test"][0, 0] == 2
    assert set(seen.logits) == {"forget", "retain", "test"}


def test_a_score_is_the_gap_on_validation_images_set_by_set(bench):
    plan, _, store = bench('methods = ["FT", "GA"]', tables="[metrics.mia_svc]\nstored_order = true")
    trials = [Trial("FT", "FT", {"lr": 1}), Trial("GA", "GA", {"lr": 2})]

    frame = score(plan, trials, store).set_index("method")

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
        assert frame.loc[name, "score"] == pytest.approx(apart.mean())


def test_the_suites_headline_scores(bench, monkeypatch):
    plan, _, store = bench('methods = ["FT"]\nheadline = "mia"')
    four = {"ua": 50.0, "ra": 50.0, "ta": 50.0}
    made = iter([{**four, "mia": 0.0, "mia_svc": 0.0}, {**four, "mia": 8.0, "mia_svc": 100.0}])
    monkeypatch.setattr(search, "evaluate_row", lambda *_: [next(made)])

    assert score(plan, [Trial("FT", "FT", {})], store)["score"].tolist() == [2.0]


def test_options_of_a_metric_that_does_not_count_are_let_be(bench):
    plan, _, store = bench('methods = ["FT"]', tables="[metrics.auc]")

    assert score(plan, [Trial("FT", "FT", {})], store)["score"].notna().all()


def test_a_score_compares_with_the_mean_of_all_retrains_of_a_set(bench, monkeypatch):
    plan, _, store = bench('methods = ["FT"]\nfloor = 2')
    flat = dict.fromkeys(("ra", "ta", "mia", "mia_svc"), 50.0)
    made = {"Retrain": 10.0, "Retrain (again)": 13.0, "Retrain (again 2)": 16.0, "FT": 5.0}
    order = iter([row.name for row in plan.rows if row.role in ("reference", "floor")] + ["FT"])
    monkeypatch.setattr(search, "evaluate_row", lambda *_: [{"ua": made[next(order)], **flat}])

    assert score(plan, [Trial("FT", "FT", {})], store)["score"].tolist() == [8 / 4]


def test_an_unstable_trial_scores_worse_than_its_mean(bench, monkeypatch):
    plan, _, store = bench('seeds = [0, 1]\nmethods = ["FT", "GA"]')
    flat = dict.fromkeys(("ra", "ta", "mia", "mia_svc"), 50.0)
    made = iter([[10, 10], [4, 16], [8, 8]])
    monkeypatch.setattr(search, "evaluate_row", lambda *_: [{"ua": float(u), **flat} for u in next(made)])

    frame = score(plan, [Trial("FT", "up and down", {"lr": 1}), Trial("GA", "steady", {"lr": 2})], store)

    by_name = frame.set_index("method")
    assert by_name.loc["up and down", "ua"] == 10
    assert by_name.loc["up and down", "score"] == 6 / 4
    assert by_name.loc["steady", "score"] == 2 / 4


def test_winners_are_the_best_that_did_not_fail(bench, plugin_file):
    path = plugin_file("""
    @method("Half", sees="forget")
    def half(model, task, *, fail: bool = False):
        if fail:
            raise ValueError("no")
    """)
    tables = """
    [[variants]]
    name = "a"
    base = "Half"
    parameters = { fail = true }
    """
    plan, _, store = bench(plugins=[path], tables=tables)
    frame = score(plan, [Trial("a", "Half", {"fail": True}), Trial("Half", "Half", {"fail": False})], store)

    assert frame["score"].isna().tolist() == [False, True]
    assert winners(frame) == {"Half": {"fail": False}}
    assert as_toml(frame) == "[methods.Half]\nfail = false\n"


def test_development_never_sees_the_one_forget_set_of_a_suite(prepared):
    suite, catalogue = prepared()
    forget = suite.forget.model_copy(update={"seed": 0})

    dev, _ = development(suite.model_copy(update={"forget": forget}), catalogue, ["FT"], 2, 2)

    assert dev.forget == suite.forget
