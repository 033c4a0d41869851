"""What a script defines, as a file that any process can import: whole, or refused in one line."""

import math
import sys
import types
from typing import Literal

import numpy as np
import pytest
from torch import nn
from torch.nn import functional
from torch.nn.functional import cross_entropy as loss

from mubench import Step, method
from mubench.discovery.source import import_file, source_digest
from mubench.errors import UsageError
from mubench.scripting.source import self_contained

RATE = 0.25
TABLE = {"a": (1, None), "b": [True]}
ARRAY = np.zeros(3)
x = ARRAY  # a name that functions below use for something else


@pytest.fixture
def loaded(tmp_path):
    """`loaded(thing)`: the thing out of the file that it became."""

    def load(thing):
        path = tmp_path / "own.py"
        path.write_text(self_contained(thing), encoding="utf-8")
        return getattr(import_file(path), thing.__name__)

    return load


def helper(value):
    return value * RATE


def uses_much(value, mode: Literal["a", "b"] = "a"):
    for x in [value]:  # a local, not the array
        value = helper(x) + TABLE["a"][0]
    return math.sqrt(value), mode, functional.relu, loss, Step


class Base(nn.Module):
    def forward(self, x):
        return x + RATE


class Net(Base):
    """Doubles."""

    def __init__(self):
        super().__init__()
        self.again = Base()

    def forward(self, x):
        return 2 * self.again(super().forward(x))


class Plain(Net):
    pass


@method("Inner", sees="retain")
def inner(model, task, *, lr: float = 0.1):
    return RATE * lr


@method("Outer", sees="retain")
def outer(model, task, *, lr: float = RATE):
    return inner(model, task, lr=lr)


def test_helpers_constants_and_imports_come_along(loaded):
    made = loaded(uses_much)(12)

    assert made == (2.0, "a", functional.relu, loss, Step)
    assert made == uses_much(12)


@pytest.mark.parametrize("cls", [Net, Plain])
def test_classes_with_their_bases(loaded, cls):
    assert loaded(cls)()(1) == cls()(1) == 3.0


def test_a_method_keeps_its_declaration_and_a_helper_loses_it(tmp_path):
    from mubench.discovery.find import load_plugin

    path = tmp_path / "own.py"
    path.write_text(self_contained(outer), encoding="utf-8")
    (spec,) = load_plugin(path)

    assert (spec.name, spec.parameters[0].default) == ("Outer", 0.25)
    assert import_file(path).outer(None, None, lr=2.0) == 0.5


def test_a_closure_is_written_down(loaded):
    width = 7

    def wide(y):
        return y + width

    assert loaded(wide)(1) == 8


def test_recursion_ends(loaded):
    assert loaded(odd)(3)


def odd(n):
    return even(n - 1) if n else False


def even(n):
    return odd(n - 1) if n else True


def test_the_text_follows_what_is_named(monkeypatch, tmp_path):
    def digest():
        (tmp_path / "own.py").write_text(self_contained(helper), encoding="utf-8")
        return source_digest(tmp_path / "own.py")

    before = digest()
    assert digest() == before
    monkeypatch.setattr(sys.modules[__name__], "RATE", 0.5)
    assert digest() != before


def takes_array(y):
    return y + ARRAY


def test_a_value_that_is_no_constant_is_refused():
    with pytest.raises(
        UsageError, match=r"function 'takes_array' uses 'ARRAY', of type ndarray, which is not"
    ):
        self_contained(takes_array)


def test_without_source_it_is_refused():
    space = {"__name__": "__main__"}
    exec("def typed(model):\n    return 1", space)

    with pytest.raises(
        UsageError, match=r"function 'typed' has no source: define it by def or class in a file"
    ):
        self_contained(space["typed"])


def test_a_lambda_is_refused():
    with pytest.raises(UsageError, match=r"has no source.* not by lambda"):
        self_contained(lambda y: y)


def test_a_module_of_the_users_is_refused():
    own = types.ModuleType("own_things")
    own.__file__ = "/somewhere/own_things.py"

    def uses(y):
        return own.f(y)

    with pytest.raises(UsageError, match=r"uses the module 'own', a file of yours.*from own_things import"):
        self_contained(uses)


def test_what_only_an_enclosing_function_imports_is_refused_unless_the_body_closes_over_it(loaded):
    import statistics as numbers

    import mubench

    @mubench.method("Declared")
    def declared(model, task):
        pass

    @method("Default")
    def default(model, task, *, lr: float = numbers.mean([1, 3])):
        pass

    def body(y: mubench.Step = None):
        return numbers.mean([y, 3])

    told = "which its module lacks: import or define it at the top of the module, or inside"
    for own, lost in ((declared, "mubench"), (default, "numbers")):
        with pytest.raises(UsageError, match=f"method '{own.__name__}' uses '{lost}', {told}"):
            self_contained(own)
    assert loaded(body)(1) == 2


def test_a_typo_in_a_body_is_refused():
    def wrong(y):
        return helpr(y)  # noqa: F821

    with pytest.raises(UsageError, match="function 'wrong' uses 'helpr', which its module lacks"):
        self_contained(wrong)


def test_a_local_class_may_name_itself(loaded):
    class Own:
        @staticmethod
        def make():
            return Own()

    assert type(loaded(Own).make()).__name__ == "Own"


def test_two_things_of_one_name_are_refused():
    def make(width):
        def inside(y):
            return y + width

        return inside

    first, second = make(1), make(2)

    def both(y):
        return first(y) + second(y)

    with pytest.raises(UsageError, match="two different things are called 'width'; rename one"):
        self_contained(both)


def test_a_class_of_a_notebook(loaded):
    """A cell's source is known to linecache only, and its module is the main one."""
    import linecache

    text = "class Cell:\n    def f(self):\n        return 5\n"
    name = "/tmp/ipykernel_1/1.py"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    space = {"__name__": "__main__"}
    exec(compile(text, name, "exec"), space)

    assert loaded(space["Cell"])().f() == 5
