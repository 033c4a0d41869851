"""From the outputs of a row to its numbers; what is wrong is refused with a word about why."""

import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from mubench import metric
from mubench.api.outputs import Outputs
from mubench.api.spec import specs_of
from mubench.discovery.find import Catalogue
from mubench.errors import UsageError
from mubench.reporting.evaluate import evaluate_row

METRICS = Catalogue().metrics


@pytest.fixture
def build(monkeypatch):
    """`build(function, name="x", ...)`: a metric that calls it, by its name."""
    module = ModuleType("made_up_metrics")
    monkeypatch.setitem(sys.modules, module.__name__, module)

    def make(function, name="x", **declared):
        function.__name__ = f"function_{len(vars(module))}"
        (spec,) = specs_of(metric(name, title="X", better="higher", **declared)(function))
        setattr(module, function.__name__, function)
        return {name: replace(spec, module=module.__name__)}

    return make


def test_what_each_kind_of_metric_is_given(model, build):
    rows, references = [model(seed=s) for s in (0, 1)], [model(seed=s) for s in (2, 3)]
    place = {id(o): float(i) for i, o in enumerate((*rows, *references))}
    cell = build(lambda o: place[id(o)])
    pair = build(lambda o, r: {"x": place[id(o)], "r": place[id(r)]}, needs="pair")
    row = build(lambda os: [10 + place[id(o)] for o in os], needs="row")
    row_pair = build(
        lambda os, rs: [10 * place[id(o)] + place[id(r)] for o, r in zip(os, rs, strict=True)],
        needs="row_pair",
    )
    assert evaluate_row(cell, rows, references) == [{"x": 0.0}, {"x": 1.0}]
    assert evaluate_row(pair, rows, references) == [{"x": 0.0, "x_r": 2.0}, {"x": 1.0, "x_r": 3.0}]
    assert evaluate_row(row, rows, references) == [{"x": 10.0}, {"x": 11.0}]
    assert evaluate_row(row_pair, rows, references) == [{"x": 2.0}, {"x": 13.0}]
    assert evaluate_row(row_pair, rows) == [{}, {}]
    beside = build(lambda o, original: {"x": place[id(o)], "o": place[id(original)]}, needs="original")
    assert evaluate_row(beside, rows, originals=references) == [
        {"x": 0.0, "x_o": 2.0},
        {"x": 1.0, "x_o": 3.0},
    ]
    further = build(
        lambda os, rs, originals: [
            100 * place[id(o)] + 10 * len(r) + place[id(first)]
            for o, r, first in zip(os, rs, originals, strict=True)
        ],
        needs="retrains",
    )
    both = {"originals": references, "retrains": [references, references]}
    assert evaluate_row(further, rows, **both) == [{"x": 22.0}, {"x": 123.0}]
    assert evaluate_row(further, rows, originals=references) == [{}, {}]
    assert evaluate_row(cell, []) == []


@pytest.mark.parametrize(
    ("function", "declared", "message"),
    [
        (lambda o: float("nan"), {}, "x = nan"),
        (lambda o: {"y": float("inf")}, {}, "x_y = inf"),
        (lambda os: [1.0], {"needs": "row"}, "1 results for 2 seeds"),
    ],
)
def test_a_metric_that_misbehaves_is_refused(model, build, function, declared, message):
    rows = [model(), model(seed=1)]
    with pytest.raises(ValueError, match=message):
        evaluate_row(build(function, **declared), rows)


def test_two_metrics_cannot_give_one_column(model, build):
    both = build(lambda o: {"y": 1.0}) | build(lambda o: 2.0, "x_y")
    with pytest.raises(ValueError, match="'x_y', which another metric already gives"):
        evaluate_row(both, [model()])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mia": {"statistics": "entropy"}}, r"unknown parameter 'statistics' in metric 'mia'.*'statistic'"),
        ({"mai": {}}, r"unknown metric 'mai'.*'mia'"),
        ({"mia": {"pool": "false"}}, "metric 'mia': pool = 'false' is not bool"),
        ({"mia": {"classwise": 1}}, "classwise = 1 is not bool"),
        ({"ua": {"pool": True}}, "unknown parameter 'pool' in metric 'ua'. Known: none"),
    ],
)
def test_wrong_options_name_the_nearest(model, options, message):
    with pytest.raises((ValueError, UsageError), match=message):
        evaluate_row(METRICS, [model()], options=options)


def test_references_must_pair_with_the_seeds(model):
    with pytest.raises(ValueError, match="2 seeds have 1 references"):
        evaluate_row(METRICS, [model(), model()], [model()])


def broken(o, name, **parts):
    logits, labels = dict(o.logits), dict(o.labels)
    logits[name], labels[name] = parts.get("z", logits[name]), parts.get("y", labels[name])
    return Outputs(logits, labels, forgotten=parts.get("forgotten", ()))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_outputs_that_are_not_finite_are_no_result(model, value):
    o = model()
    z = o.logits["val"].copy()
    z[3, 1] = value
    for rows, references in (([broken(o, "val", z=z)], []), ([o], [broken(o, "val", z=z)])):
        with pytest.raises(ValueError, match="val has logits that are not finite"):
            evaluate_row(METRICS, rows, references)


def test_outputs_that_do_not_fit_are_refused(model):
    o = model()
    y = o.labels["forget"]
    cases = [
        (broken(o, "forget", y=np.where(y == 0, -1, y)), "outside 0..3"),
        (broken(o, "forget", y=y + 1), "outside 0..3"),
        (broken(o, "forget", y=y[1:]), "logits .60, 4. and labels .59,."),
        (broken(o, "retain", z=o.logits["retain"][:0], y=o.labels["retain"][:0]), "retain is empty"),
        (broken(o, "test", forgotten=(0, 1, 2, 3)), "test is empty"),
        (broken(o, "test", z=o.logits["test"][:, :1]), "logits .200, 1."),
    ]
    for outputs, message in cases:
        with pytest.raises(ValueError, match=message):
            evaluate_row(METRICS, [outputs])
