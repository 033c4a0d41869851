"""`mubench check`: every built-in passes, each rule has a plugin that breaks just that one."""

import json
import textwrap

import pytest

from mubench.discovery.find import Catalogue, load_plugin
from mubench.running.rules import RULES, check_rules
from mubench.running.rules_beside import check_dataset, check_metric, check_model

HEAD = """
import time, numpy, torch
from mubench import ImageSpec, Outputs, Raw, Step, choice, cross_entropy_loss, dataset, method, metric, model
"""
TRAIN = """
    step = Step(model, cross_entropy_loss, 0.05)
    for x, y in task.retain:
        step(x, y)
"""


def method_text(body, more="", declared="", train=TRAIN):
    """A method that trains on the retain set and then does this."""
    head = f'@method("Bad", sees="retain", cite="Nobody 2025"{declared})\ndef bad(model, task{more}):'
    return f'{head}\n    """Bad."""\n{train}{textwrap.indent(textwrap.dedent(body), "    ")}\n'


OWN = """
def own(model, task):
    {}
    return model


@method("Bad", sees="retain", cite="Nobody 2025", original=own)
def bad(model, task):
    'Bad.'
"""
BROKEN = {
    "original": OWN.format("task.retain"),
    "runs": method_text("raise RuntimeError('no luck')"),
    "sees": method_text("task.forget"),
    "logits": method_text("model.head = torch.nn.Linear(24, task.num_classes + 1)"),
    "finite": method_text("model.head.bias.data[0] = float('nan')"),
    "data": method_text("task.retain._images[0] = 0"),
    "notes": method_text("task.log(step=Step)"),
    "cost": method_text("task.ledger.forward /= 2"),
    "deterministic": method_text("model.head.bias.data += time.perf_counter_ns() % 1_000_003"),
    "global": method_text("model.head.bias.data += torch.randn(task.num_classes)"),
    "reseeds": method_text("torch.manual_seed(0)"),
    "settings": method_text("torch.set_grad_enabled(False)"),
    "length": method_text("model.head.bias.data += 1", ", *, epochs: int = 2", train=""),
    "search": method_text("pass", ", *, n: int = 2", ", search={'n': choice(1, 2.5)}"),
    "small": method_text("assert task.retain.batches > 1"),
    "last": method_text("assert all(len(x) > 1 for x, y in task.retain.plain())"),
    "one": method_text("assert len(torch.unique(task.retain.labels)) > 1"),
    "many": method_text("assert task.num_classes < 50"),
}
METHODS = Catalogue().methods


@pytest.fixture
def spec(plugin_file):
    """The first plugin of a file with this body."""
    return lambda body: load_plugin(plugin_file(body, head=HEAD))[0]


def broken(verdicts):
    return [v.rule for v in verdicts if v.status == "FAIL"]


def test_each_rule_has_a_plugin_that_breaks_it():
    assert list(BROKEN) == list(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_a_plugin_that_breaks_one_rule(spec, rule):
    verdicts = check_rules(spec(BROKEN[rule]))

    assert broken(verdicts) == [RULES[rule]]
    assert next(v for v in verdicts if v.status == "FAIL").reason


def test_a_setting_left_changed_is_named_and_undone(spec):
    import torch

    (verdict,) = [v for v in check_rules(spec(BROKEN["settings"])) if v.status == "FAIL"]

    assert "whether gradients are computed" in verdict.reason
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("next(iter(task.train))", "on no images, which make its module"),
        (
            "model.head = torch.nn.Linear(24, task.num_classes + 1)",
            "trains no usable original of its own",
        ),
        (
            "n = len(task.train)\n    model.forward = lambda x: n * model.features(x)[:, :3]",
            "gives other logits when put together from its weights",
        ),
        ("task.train.subset('a', task.train.labels > 0)", ""),
    ],
)
def test_an_original_of_its_own_kind_is_put_together_again(spec, body, reason):
    verdicts = check_rules(spec(OWN.format(body)))

    own = next(v for v in verdicts if v.rule == RULES["original"])
    assert own.status == ("FAIL" if reason else "pass")
    assert reason in own.reason
    assert not any(v.rule == RULES["original"] for v in check_rules(spec(BROKEN["notes"])))


def test_what_could_not_be_checked_is_not_passed(spec):
    verdicts = check_rules(spec(BROKEN["runs"]))

    assert [v.rule for v in verdicts if v.status == "pass"] == [RULES["search"]]


def test_advice_breaks_no_rule(spec):
    verdicts = check_rules(
        spec('@method("Bare", sees="retain")\ndef f(model, task, *, lr: float = 1.0):\n    pass')
    )

    assert broken(verdicts) == []
    assert [v.rule for v in verdicts if v.status == "advice"] == [
        *("effect", "docstring", "citation", "search space")
    ]


def test_an_undocumented_parameter_is_named(spec):
    body = '@method("A", cite="N")\ndef f(model, task, *, lr: float = 1.0, n: int = 0):\n    "lr: the rate."'
    (verdict,) = [v for v in check_rules(spec(body)) if v.rule == "parameters"]

    assert verdict.reason.endswith("does not mention n")


@pytest.mark.parametrize("name", METHODS)
def test_every_built_in_method_passes(name):
    assert [(v.rule, v.reason) for v in check_rules(METHODS[name]) if v.status == "FAIL"] == []


METRIC = '@metric("bad", title="Bad", better="higher")\ndef bad(outputs):\n    "Bad."\n    '
BAD_METRICS = {
    "gives a finite number, or a dict of them, for each seed": "return float('nan')",
    "gives the same again": "return numpy.random.default_rng().random()",
    "works with 100 classes": "assert outputs.logits['test'].shape[1] < 50; return 1.0",
}


@pytest.mark.parametrize("rule", BAD_METRICS)
def test_a_metric_that_breaks_one_rule(spec, rule):
    assert broken(check_metric(spec(METRIC + BAD_METRICS[rule])))[0] == rule


def test_a_metric_that_writes_into_its_input(spec):
    verdicts = check_metric(spec(METRIC + "outputs.logits['test'][:] = 0; return 1.0"))

    assert "writes into the outputs" in next(v for v in verdicts if v.status == "FAIL").reason


@pytest.mark.parametrize("name", Catalogue().metrics)
def test_every_built_in_metric_passes(name):
    assert broken(check_metric(Catalogue().metrics[name])) == []


DATA = """
@dataset("bad", images=ImageSpec((1, 8, 8), 2))
def bad():
    rng, y = numpy.random.default_rng(0), numpy.arange(20) % 2
    x, test = rng.integers(0, 255, (20, 1, 8, 8)).astype("uint8"), numpy.arange(20) > 9
    {}
    return Raw(x, y, test, ("a", "b"))
"""
BAD_DATA = {
    "returns mubench.Raw: uint8 images, labels 0 to K-1, test images": "x = x / 255",
    "has training and test images of every class": "test = y == 0",
    "has images of the form that it declares": "x = x[..., :7]",
    "gives the same again": "x = numpy.random.default_rng().integers(0, 255, x.shape).astype('uint8')",
}


@pytest.mark.parametrize("rule", BAD_DATA)
def test_a_dataset_that_breaks_one_rule(spec, rule):
    assert broken(check_dataset(spec(DATA.format(BAD_DATA[rule])))) == [rule]


MODEL = """
@model("bad")
def bad(channels):
    layers = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten())
    {}
    return layers, 4 * channels
"""
BAD_MODELS = {
    "makes (a backbone, the width of its features) for 3 channels": "return layers",
    "works for 1 channel": "assert channels == 3",
    "works with one image and with 100 classes": (
        "layers.register_forward_pre_hook(lambda m, x: [None][len(x[0]) == 1])"
    ),
    "has the same weights again under the same seed": (
        "layers.p = torch.nn.Parameter(torch.full((1,), time.perf_counter_ns() % 1_000_003 / 7))"
    ),
    "leaves threads, gradients and other settings of torch as they were": "torch.set_grad_enabled(False)",
}


@pytest.mark.parametrize("rule", BAD_MODELS)
def test_a_model_that_breaks_one_rule(spec, rule):
    assert broken(check_model(spec(MODEL.format(BAD_MODELS[rule]))))[0] == rule


def test_built_in_data_and_models_pass():
    found = Catalogue()

    assert broken(check_dataset(found.datasets["digits"])) == []
    assert broken(check_model(found.models["small-mlp"])) == []
    assert [v.status for v in check_dataset(found.datasets["folder"])] == ["skip"]


def test_exit_codes_and_text(call, plugin_file):
    good = plugin_file(method_text("pass"), "good", HEAD)
    code, out, _ = call("check", good)
    assert (code, "all 18 rules hold" in out) == (0, True)

    code, out, _ = call("check", plugin_file(BROKEN["many"], "bad", HEAD))
    assert code == 1
    assert f"FAIL  {RULES['many']}: stops with AssertionError" in out
    assert "1 of 18 rules broken" in out


def test_json(call, plugin_file):
    code, out, _ = call("check", plugin_file(BROKEN["finite"], head=HEAD), "--json")

    (one,) = json.loads(out)
    assert (code, one["name"], one["noun"]) == (1, "Bad", "method")
    assert [v["rule"] for v in one["verdicts"] if v["status"] == "FAIL"] == [RULES["finite"]]


def test_a_method_without_an_end_is_stopped(call, plugin_file, monkeypatch):
    monkeypatch.setattr("mubench.commands.check.PATIENCE", 2.0)
    code, out, _ = call("check", plugin_file(method_text("while True: pass"), head=HEAD))

    assert code == 1
    assert "FAIL  comes to an end and leaves the process alone: stopped after the timeout of 2 s" in out


def test_an_untyped_parameter_is_a_broken_rule(call, plugin_file):
    code, out, _ = call("check", plugin_file(method_text("pass", ", *, lr=0.1"), head=HEAD))

    assert code == 1
    assert "FAIL  declares itself with typed parameters" in out
    assert "parameter lr needs one of the types" in out


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("x = 1", "declares nothing: decorate a function with @method"),
        ("def (", "cannot be loaded: SyntaxError"),
        ("import nowhere", "cannot be loaded: ModuleNotFoundError"),
        ("raise TypeError('mine')", "cannot be loaded: TypeError: mine"),
    ],
)
def test_a_file_that_holds_no_plugin_is_wrong_usage(call, plugin_file, body, said):
    code, out, err = call("check", plugin_file(body, head=""))

    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_names_that_do_not_exist(call):
    assert call("check", "Retrian")[::2] == (2, "Error: unknown plugin 'Retrian'. Did you mean 'Retrain'?\n")
    said = "Error: my.toml is a suite, no plugin: mubench plan --suite my.toml checks it\n"
    assert call("check", "my.toml")[::2] == (2, said)
    code, _, err = call("check", "nowhere.py")
    assert (code, "there is no such file" in err) == (2, True)
