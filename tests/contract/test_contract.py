"""Every registered method honours the contract; plugins that break it are refused, and told why."""

import random
import textwrap

import numpy as np
import pytest
import torch

from mubench.api.method import Scenario
from mubench.discovery.find import Catalogue, load_function, load_plugin
from mubench.running.contract import check_method
from mubench.running.made_up import CLASSES, IMAGES

METHODS = Catalogue().methods

IMPORTS = """
import random, time, numpy, torch
from mubench import Step, cross_entropy_loss, choice, method
"""
GOOD = """
    @method("Good", sees="retain", cite="Nobody 2025")
    def good(model, task, *, epochs: int = 2, lr: float = 0.05):
        '''min CE on D_r.'''
        step = Step(model, cross_entropy_loss, lr)
        for x, y in task.retain.epochs(epochs):
            step(x, y)
"""


@pytest.fixture
def plugin(tmp_path):
    """The spec of a plugin written as a file with this body."""

    def write(body):
        file = tmp_path / "mine.py"
        file.write_text(IMPORTS + textwrap.dedent(body), encoding="utf-8")
        return load_plugin(file)[0]

    return write


def test_nothing_built_in_is_broken():
    assert METHODS.broken == {}
    assert len(METHODS) >= 13


@pytest.mark.parametrize("name", METHODS)
def test_registered_method(name):
    outcomes = check_method(METHODS[name])

    assert set(outcomes) == set(METHODS[name].scenarios)


def test_good_plugin_reports_what_it_did(plugin):
    outcomes = check_method(plugin(GOOD))

    assert set(outcomes) == set(Scenario)
    in_class = outcomes["class"]
    kept = IMAGES - IMAGES // CLASSES
    assert in_class.ledger.reads == {"forget": 0, "retain": 2 * kept}
    assert (in_class.ledger.forward, in_class.ledger.backward) == (2 * kept, 2 * kept)
    assert set(in_class.changed) == set(in_class.before)


def test_the_function_itself_and_other_parameters_are_taken(plugin):
    function = load_function(plugin(GOOD))

    outcomes = check_method(function, {"epochs": 3})

    assert outcomes["random"].ledger.forward == 3 * IMAGES * 3 // 4


def test_global_random_state_is_left_alone(plugin):
    spec = plugin(GOOD)
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    expected = torch.rand(3), random.random(), np.random.rand()
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)

    check_method(spec)

    assert torch.equal(torch.rand(3), expected[0])
    assert (random.random(), np.random.rand()) == expected[1:]


def test_only_declared_scenarios_are_run(plugin):
    spec = plugin("""
        @method("Odd", sees="forget", cite="Nobody 2025", scenarios=["class"])
        def odd(model, task, *, epochs: int = 1):
            '''Works for a class only.'''
            assert len(torch.unique(task.forget.labels)) == 1
    """)

    assert set(check_method(spec)) == {"class"}


def bad(body, head='@method("Bad", sees="retain", cite="Nobody 2025")', more=""):
    """The source of a method with this body, further parameters being `more`."""
    return f"{head}\ndef bad(model, task{more}):\n    'Bad.'\n" + textwrap.indent(
        textwrap.dedent(body), "    "
    )


BAD = {
    "undeclared set": (
        bad("for x, y in task.forget:\n    model(x)"),
        r"'Bad' touches an undeclared set .*task\.forget",
    ),
    "raises": (bad("raise RuntimeError('no luck')"), "'Bad' stops with RuntimeError .*no luck"),
    "one logit too many": (
        bad("model.head = torch.nn.Linear(model.head.in_features, task.num_classes + 1)"),
        f"'Bad' leaves no usable model .*{CLASSES + 1} logits, not {CLASSES}",
    ),
    "NaN": (
        bad("model.head.bias.data[0] = float('nan')"),
        r"'Bad' leaves no usable model .*head\.bias holds NaN",
    ),
    "returns no module": (bad("return 3"), "'Bad' leaves no usable model .*returned int"),
    "torch's global state": (
        bad("model.head.weight.data += torch.randn(model.head.weight.shape)"),
        r"'Bad' depends on the global random state .*head\.weight.*task\.rng",
    ),
    "numpy's global state": (
        bad("model.head.weight.data *= numpy.random.rand()"),
        "'Bad' depends on the global random state",
    ),
    "Python's global state": (
        bad("model.head.weight.data *= random.random()"),
        "'Bad' depends on the global random state",
    ),
    "the clock": (
        bad("model.head.weight.data *= 1 + time.perf_counter_ns() % 1_000_003 / 1e6"),
        "'Bad' is not deterministic",
    ),
    "writes into the data": (
        bad("task.retain._images[0] = 0"),
        "'Bad' changed the images or labels of the retain set",
    ),
    "writes into the labels": (
        bad("task.retain._labels.zero_()"),
        "'Bad' changed the images or labels of the retain set",
    ),
    "uncounted passes": (
        bad("""
            for x, y in task.retain:
                h = model.backbone(x)
                model.head.bias.data += h.mean()
        """),
        r"'Bad' changes weights by images that never pass through the model .*0 passed forward",
    ),
    "miscounts": (
        bad("""
            for x, y in task.retain:
                model(x)
            task.ledger.forward /= 2
        """),
        "'Bad' has a cost that is not a count",
    ),
    "only backward": (
        bad("""
            for x, y in task.retain:
                cross_entropy_loss(model, x, y).backward()
            task.ledger.forward -= 1
        """),
        "'Bad' passes more images backward than forward",
    ),
    "zero epochs do something": (
        bad("model.head.bias.data += 1", more=", *, epochs: int = 2, epochs_more: int = 1"),
        r"'Bad' changes \['head\.bias'\] with epochs, epochs_more = 0",
    ),
    "breaks in a small set": (
        bad("assert task.retain.batches > 1"),
        f"'Bad' stops with AssertionError .*batches of {2 * IMAGES}",
    ),
    "a class is gone": (
        bad("assert len(torch.unique(task.retain.labels)) == task.num_classes"),
        "'Bad' stops with AssertionError .*'class'",
    ),
    "notes": (bad("task.log(step=Step)"), "'Bad' logs what a record cannot keep"),
    "no cite": (bad("pass", head='@method("Bad")'), "'Bad' has no cite"),
    "no docstring": (
        '@method("Bad", cite="Nobody 2025")\ndef bad(model, task):\n    pass\n',
        "'Bad' has no docstring",
    ),
    "no scenario": (
        bad("pass", head='@method("Bad", cite="Nobody 2025", scenarios=[])'),
        "'Bad' applies to no scenario",
    ),
    "search range of another type": (
        bad(
            "pass",
            head='@method("Bad", cite="Nobody 2025", search={"epochs": choice(1, 2.5)})',
            more=", *, epochs: int = 2",
        ),
        r"'Bad' .*epochs = 2\.5 is not int",
    ),
    "baseline that acts": (
        bad("model.head.bias.data += 1", head='@method("Bad", role="baseline")'),
        r"'Bad' is a baseline, which does nothing.*head\.bias",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_plugin_is_refused(plugin, case):
    body, message = BAD[case]
    spec = plugin(body)

    with pytest.raises(AssertionError, match=message):
        check_method(spec)


def test_undecorated_function_is_a_type_error():
    def plain(model, task):
        pass

    with pytest.raises(TypeError, match="not declared with @method"):
        check_method(plain)
