"""What a plugin declares: the signature is the configuration."""

import inspect
from typing import Literal

import pytest

from mubench import choice, log_uniform, method
from mubench.errors import UsageError


@method("Toy", sees="forget", search={"lr": log_uniform(1e-3, 1)})
def toy(
    model,
    task,
    *,
    epochs: int = 3,
    lr: float = 0.1,
    flip: bool = False,
    name: str = "x",
    order: Literal["a", "b"] = "a",
    share: float | None = None,
):
    """A toy.

    More of it.
    """


CARD = toy.__mubench__[0]


def test_the_signature_is_the_configuration():
    assert [(p.name, p.type_name, p.default) for p in CARD.parameters] == [
        ("epochs", "int", 3),
        ("lr", "float", 0.1),
        ("flip", "bool", False),
        ("name", "str", "x"),
        ("order", "'a' | 'b'", "a"),
        ("share", "float | None", None),
    ]
    assert (CARD.name, CARD.role, CARD.sees, CARD.function) == ("Toy", "method", ("forget",), "toy")
    assert CARD.doc.startswith("A toy.")
    assert inspect.isfunction(toy)


def test_parameters_are_bound_over_the_defaults():
    defaults = {"epochs": 3, "lr": 0.1, "flip": False, "name": "x", "order": "a", "share": None}
    given = {"epochs": 0, "lr": 1, "flip": True, "order": "b", "share": 2}

    assert CARD.bind({}, "") == defaults
    bound = CARD.bind(given, "")
    assert bound == {**defaults, **given}
    assert (type(bound["lr"]), type(bound["share"])) == (float, float)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 1.0}, "epochs = 1.0 is not int"),
        ({"epochs": True}, "epochs = True is not int"),
        ({"epochs": None}, "epochs = None is not int"),
        ({"lr": "0.1"}, "lr = '0.1' is not float"),
        ({"lr": True}, "lr = True is not float"),
        ({"lr": float("nan")}, "lr = nan is not float"),
        ({"lr": float("inf")}, "lr = inf is not float"),
        ({"flip": 1}, "flip = 1 is not bool"),
        ({"name": 1}, "name = 1 is not str"),
        ({"order": "c"}, "order = 'c' is not 'a' | 'b'"),
        ({"share": "a"}, r"share = 'a' is not float | None"),
        ({"epoch": 1}, r"unknown parameter 'epoch' in here. Did you mean 'epochs'"),
    ],
)
def test_parameters_of_a_wrong_name_or_type(given, message):
    with pytest.raises(UsageError) as caught:
        CARD.bind(given, "here")

    assert message in str(caught.value)
    assert "here" in str(caught.value)


BAD = [
    (lambda model, task, *, lr: 0, {}, "parameter lr needs a default"),
    (lambda model, task, lr=1: 0, {}, r"the signature starts \(model, task, \*"),
    (lambda model: 0, {}, r"the signature starts \(model, task, \*"),
    (lambda model, task, *args: 0, {}, "hide parameters"),
    (lambda model, task, **options: 0, {}, "hide parameters"),
    (lambda model, task, *, lr=1.0: 0, {}, "parameter lr needs one of the types"),
    (lambda model, task: 0, {"sees": "test"}, "sees has 'test'; it may hold forget, retain"),
    (
        lambda model, task: 0,
        {"sees": ("forget", "train")},
        "sees has 'train'; it may hold forget, retain, val",
    ),
    (lambda model, task: 0, {"role": "oracle"}, "role has 'oracle'"),
    (lambda model, task: 0, {"scenarios": ("random", "all")}, "scenarios has 'all'"),
    (lambda model, task: 0, {"search": {"lr": choice(1)}}, "search names 'lr'"),
]


@pytest.mark.parametrize(("function", "options", "message"), BAD)
def test_bad_declarations_name_the_method_and_the_function(function, options, message):
    function.__name__ = "wrong"
    with pytest.raises(TypeError, match=message) as caught:
        method("Bad", **options)(function)

    assert "'Bad' (wrong)" in str(caught.value)


def train_own(model, task, *, width: int):
    """An original of its own kind."""


def seven(images):
    """No signature of an original."""


def test_an_original_of_its_own_kind_takes_some_of_the_parameters():
    @method("Own", original=train_own, cite="N")
    def own(model, task, *, width: int = 2, lr: float = 1.0):
        """Own."""

    (spec,) = own.__mubench__
    assert (spec.original.function, spec.original.parameters) == ("train_own", ("width",))


@pytest.mark.parametrize(
    ("original", "role", "message"),
    [
        (train_own, "method", "original=train_own takes 'width', which the method does not"),
        (train_own, "baseline", "original= is for methods, not for the baseline"),
        (lambda model, task: model, "method", "original= must be a function of the same file"),
        (seven, "method", "the signature starts \\(model, task, "),
    ],
)
def test_originals_that_cannot_be_trained(original, role, message):
    with pytest.raises(TypeError, match=message):

        @method("Own", original=original, role=role)
        def own(model, task):
            """Own."""


@pytest.mark.parametrize(
    ("hint", "default", "message"),
    [
        (list, [], "parameter p needs one of the types"),
        (int | str, 1, "parameter p needs one of the types"),
        (int | str | None, 1, "parameter p needs one of the types"),
        (int, 1.5, "the default does not fit.*p = 1.5 is not int"),
        (Literal["a", "b"], "c", "the default does not fit.*p = 'c'"),
        (int, None, "the default does not fit.*p = None is not int"),
    ],
)
def test_bad_hints_and_defaults(hint, default, message):
    def wrong(model, task, *, p=default):
        """Wrong."""

    wrong.__annotations__["p"] = hint

    with pytest.raises(TypeError, match=message) as caught:
        method("Bad")(wrong)
    assert "wrong" in str(caught.value)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (2, 1), (1, 1)])
def test_logarithmic_ranges_that_are_none(low, high):
    with pytest.raises(ValueError, match="0 < low < high"):
        log_uniform(low, high)
