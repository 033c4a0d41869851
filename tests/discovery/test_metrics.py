"""Metrics are found by themselves, and wrong ones are refused with a word about why."""

import subprocess
import sys

import numpy as np
import pytest

import mubench.api.metric as declare
import mubench.discovery.metrics as discover
from mubench.api.metric import metric
from mubench.api.outputs import Outputs
from mubench.discovery.metrics import all_metrics
from mubench.discovery.source import source_digest
from mubench.errors import UsageError
from mubench.reporting.evaluate import evaluate_row

SIZE = """
from mubench.metrics import metric

@metric("size", title="Size", better="higher")
def size(outputs, *, scale: float = 1.0):
    \"\"\"How many images are forgotten.\"\"\"
    return {"size": scale * len(outputs.of("forget")[1]), "classes": 3}
"""


@pytest.fixture
def plugin(tmp_path):
    def write(text=SIZE, name="size.py"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_what_is_built_in():
    found = all_metrics()
    assert set(found) == {
        *("ua", "ra", "ta", "fta", "va", "mia", "mia_svc", "auc", "tpr"),
        *("agreement", "js", "tow", "tow_mia"),
    }
    assert {n for n, m in found.items() if m.gap} == {"ua", "ra", "ta", "mia", "mia_svc"}
    assert all(m.name == n and m.title and m.doc and len(m.source) == 64 for n, m in found.items())


def test_importing_them_is_fast_because_nothing_heavy_comes_along():
    code = (
        "import sys, mubench.metrics as m; m.all_metrics(); "
        "print([h for h in ('torch', 'scipy', 'sklearn', 'pandas', 'pydantic') if h in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_a_file_adds_a_metric(plugin, model):
    path = plugin()
    found = all_metrics([path])
    assert found["size"].file == str(path)
    assert found["size"].doc == "How many images are forgotten."
    assert dict(found["size"].options) == {"scale": 1.0}
    (row,) = evaluate_row({"size": found["size"]}, [model()], options={"size": {"scale": 2}})
    assert row == {"size": 120.0, "size_classes": 3.0}
    assert set(all_metrics()) == set(found) - {"size"}


def test_two_of_one_name_are_an_error_that_names_both_files(plugin):
    first, second = plugin(), plugin(name="other.py")
    with pytest.raises(UsageError, match=r"two metrics are called 'size'.*size\.py.*other\.py"):
        all_metrics([first, second])
    taken = plugin(SIZE.replace('"size"', '"ua"', 1), "mine.py")
    with pytest.raises(UsageError, match=r"'ua'.*accuracy\.py.*mine\.py"):
        all_metrics([taken])


def test_the_same_file_twice_is_one_metric(plugin):
    assert "size" in all_metrics([plugin(), plugin()])


def test_an_imported_metric_is_not_declared_again(plugin):
    path = plugin("from mubench.metrics.accuracy import ua\n" + SIZE)
    assert set(all_metrics([path])) == {*all_metrics(), "size"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "declares none"),
        ("from mubench.metrics.accuracy import ua", "declares none"),
        ("import nowhere_to_be_found", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "SystemExit"),
        (SIZE.replace("higher", "bigger"), "better is 'bigger'; it may be reference, higher, lower"),
        (SIZE.replace("(outputs,", "(outputs, reference,"), "gives 1 positional arguments, not 2"),
        (SIZE.replace(": float = 1.0", ""), "option scale needs a default"),
        (SIZE.replace("scale: float = 1.0", "x=1, **rest"), r"\*args and \*\*kwargs"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(plugin, text, message):
    path = plugin(text, f"bad{abs(hash(text))}.py")
    with pytest.raises(UsageError, match=message):
        all_metrics([path])


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        all_metrics([tmp_path / "none.py"])


class Entry:
    def __init__(self, module):
        self.name, self.module, self.value = "third", module, f"{module}:x"


def test_installed_metrics_are_found_and_broken_ones_are_a_warning(plugin, monkeypatch):
    monkeypatch.syspath_prepend(str(plugin(name="third_party_size.py").parent))
    asked = []

    def entry_points(group):
        asked.append(group)
        return [Entry("third_party_size"), Entry("no_such_module_here")]

    monkeypatch.setattr(discover.metadata, "entry_points", entry_points)
    with pytest.warns(UserWarning, match="no_such_module_here"):
        found = all_metrics()
    assert "size" in found
    assert asked == ["mubench.metrics"]


@pytest.mark.parametrize(
    "line",
    [
        "from mubench.metrics.helper import f",
        "from mubench.metrics import helper",
        "import mubench.metrics.helper",
        "from mubench.metrics.between import g",
    ],
)
def test_the_source_follows_what_a_metric_imports(plugin, tmp_path, monkeypatch, line):
    monkeypatch.setattr(declare, "_HERE", tmp_path)
    plugin("from mubench.metrics.helper import f as g\n", "between.py")
    path, helper = plugin(f"def late():\n    {line}\n"), plugin("f = 1\n", "helper.py")
    before = source_digest(path)
    assert source_digest(path) == before
    helper.write_text("f = 2\n")
    assert source_digest(path) != before


def test_the_source_is_the_content_and_not_the_place(plugin):
    first, second = plugin(name="a.py"), plugin(name="b.py")
    assert source_digest(first) == source_digest(second)
    second.write_text(SIZE + "# edited\n")
    assert source_digest(first) != source_digest(second)


def build(function, **declared):
    return {"x": metric("x", title="X", better="higher", **declared)(function).__mubench_metric__}


def test_what_each_kind_of_metric_is_given(model):
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
    assert evaluate_row(cell, []) == []


@pytest.mark.parametrize(
    ("function", "declared", "message"),
    [
        (lambda o: float("nan"), {}, "x = nan"),
        (lambda o: {"y": float("inf")}, {}, "x_y = inf"),
        (lambda os: [1.0], {"needs": "row"}, "1 results for 2 seeds"),
    ],
)
def test_a_metric_that_misbehaves_is_refused(model, function, declared, message):
    rows = [model(), model(seed=1)]
    with pytest.raises(ValueError, match=message):
        evaluate_row(build(function, **declared), rows)


def test_two_metrics_cannot_give_one_column(model):
    first = build(lambda o: {"y": 1.0})["x"]
    second = metric("x_y", title="", better="higher")(lambda o: 2.0).__mubench_metric__
    with pytest.raises(ValueError, match="'x_y', which another metric already gives"):
        evaluate_row({"x": first, "x_y": second}, [model()])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mia": {"statistics": "entropy"}}, r"unknown option 'statistics' of metric 'mia'.*'statistic'"),
        ({"mai": {}}, r"unknown metric 'mai'.*'mia'"),
        ({"mia": {"pool": "false"}}, "option pool of metric 'mia' is 'false', not bool"),
        ({"mia": {"classwise": 1}}, "is 1, not bool"),
        ({"ua": {"pool": True}}, "unknown option 'pool' of metric 'ua'. Known: none"),
    ],
)
def test_wrong_options_name_the_nearest(model, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate_row(all_metrics(), [model()], options=options)


def test_references_must_pair_with_the_seeds(model):
    with pytest.raises(ValueError, match="2 seeds have 1 references"):
        evaluate_row(all_metrics(), [model(), model()], [model()])


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
            evaluate_row(all_metrics(), rows, references)


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
            evaluate_row(all_metrics(), [outputs])
