"""What a plugin declares, and how plugins are found, cached and refused."""

import importlib
import inspect
import sys
from importlib import metadata
from typing import Literal

import mubench.methods
import pytest

from mubench import choice, log_uniform, method, registry
from mubench.errors import UsageError

METHOD = """
@method("{name}", sees="forget", cite="N")
def unlearn(model, task, *, lr: float = 0.1):
    '''{doc}'''
"""


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


CARD = toy.__mubench__


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
    (lambda model, task: 0, {"sees": ("forget", "val")}, "sees has 'val'"),
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


@pytest.mark.parametrize(
    ("hint", "default", "message"),
    [
        (list, [], "parameter p needs one of the types"),
        (int | str, 1, "parameter p needs one of the types|one type or None"),
        (int | str | None, 1, "one type or None"),
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


def test_a_plugin_from_a_file(plugin_file):
    path = plugin_file(METHOD.format(name="Mine", doc="Mine."))

    known = registry.load([path])

    card = known.get("Mine")
    assert (card.path, card.module, card.doc) == (str(path), "", "Mine.")
    assert registry.load_function(card).__mubench__.name == "Mine"
    assert {"Retrain", "Original", "FT"} <= known.methods.keys()
    assert known.broken == {}
    with pytest.raises(UsageError, match=r"unknown method 'Mien' in x\. Did you mean 'Mine'"):
        known.get("Mien", "x")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("def broken(:\n", "cannot be loaded: SyntaxError"),
        ("1 / 0\n", "cannot be loaded: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)\n", "cannot be loaded: SystemExit: 3"),
        ("import module_that_is_not_there\n", "cannot be loaded: ModuleNotFoundError"),
        ("@method('X')\ndef unlearn(model): pass\n", "cannot be loaded: TypeError: method 'X'"),
        ("x = 1\n", r"declares no method: decorate a function with @method"),
        ("from mubench.methods.ft import fine_tune\n", "declares no method"),
    ],
)
def test_plugins_that_cannot_be_loaded(plugin_file, body, message):
    path = plugin_file(body)

    with pytest.raises(UsageError, match=message) as caught:
        registry.load([path])
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_plugins_that_are_not_there(tmp_path):
    for path in (tmp_path / "absent.py", tmp_path):
        with pytest.raises(UsageError, match="there is no such file"):
            registry.load([path])


def test_two_methods_of_one_name_name_both_files(plugin_file):
    one, two = (plugin_file(METHOD.format(name="Twice", doc="T."), name) for name in ("one", "two"))
    own = plugin_file(METHOD.format(name="FT", doc="T."), "own")

    with pytest.raises(UsageError, match=f"two methods are called 'Twice': {one} and {two}"):
        registry.load([one, two])
    with pytest.raises(UsageError, match=rf"two methods are called 'FT': .*ft\.py and {own}"):
        registry.load([own])
    assert registry.load([one, one]).get("Twice").path == str(one)


def test_roles_are_held_by_one_method_each(plugin_file):
    path = plugin_file('@method("Mine", role="reference")\ndef mine(model, task): "Mine."\n')
    known = registry.load()

    assert (known.by_role("reference").name, known.by_role("baseline").name) == ("Retrain", "Original")
    with pytest.raises(UsageError, match=r"exactly one method .*'reference'.*retrain\.py.*mine\.py"):
        registry.load([path]).by_role("reference")


def test_cards_are_cached_by_source_and_nothing_is_imported_for_them(plugin_file, tmp_path):
    marker = tmp_path / "imported"
    body = f"open({str(marker)!r}, 'a').write('x')\n" + METHOD.format(name="Mine", doc="Doc {x}.")
    path, cache = plugin_file(body), tmp_path / "cards"

    def reload():
        for name in [n for n in sys.modules if n.startswith("mubench_plugin_")]:
            del sys.modules[name]
        (card,) = registry.load_plugin(path, cache)
        return card, len(marker.read_text())

    card, imports = reload()
    assert imports == 1
    assert reload() == (card, 1)
    path.write_text(path.read_text() + "\n# another\n")
    changed, imports = reload()
    assert (imports, changed.doc) == (2, card.doc)
    assert changed.source != card.source
    for file in cache.iterdir():
        file.write_text("{ damaged")
    assert reload() == (changed, 3)
    assert reload() == (changed, 3)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """`package(name, text)`: a further module of mubench.methods."""
    folder = tmp_path / "more"
    folder.mkdir()
    monkeypatch.setattr(mubench.methods, "__path__", [*mubench.methods.__path__, str(folder)])
    written = []

    def write(name, text):
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
        importlib.invalidate_caches()
        written.append(f"mubench.methods.{name}")
        return folder / f"{name}.py"

    yield write
    for name in written:
        sys.modules.pop(name, None)
        vars(mubench.methods).pop(name.rpartition(".")[2], None)


@pytest.mark.parametrize(
    "line",
    [
        "from mubench.methods.zz_helper import x",
        "from mubench.methods import zz_helper",
        "import mubench.methods.zz_helper",
        "from .zz_helper import x",
        "from . import zz_helper",
        "def late():\n    from mubench.methods.zz_helper import x",
    ],
)
def test_editing_an_imported_method_changes_the_source(package, line):
    base = package("zz_base", "y = 1\n")
    helper = package("zz_helper", "from mubench.methods.zz_base import y\nx = 1\n")
    other = package("zz_other", "z = 1\n")
    user = package("zz_user", f"{line}\nimport json, mubench.plugin\n")
    digests = [registry.source_digest(user)]

    for file in (helper, base, user):
        file.write_text(file.read_text() + "# edited\n")
        digests.append(registry.source_digest(user))
    other.write_text("z = 2\n")

    assert len(set(digests)) == 4
    assert registry.source_digest(user) == digests[-1]
    assert registry.source_files(user) == sorted([base, helper, user])


def test_a_method_dropped_into_the_package_is_found(package):
    package("zz_new", "from mubench import method\n" + METHOD.format(name="New", doc="New."))

    card = registry.load().get("New")

    assert card.module == "mubench.methods.zz_new"
    assert registry.load_function(card).__name__ == "unlearn"


@pytest.mark.parametrize("body", ["1 / 0\n", "raise SystemExit(1)\n", "def broken(:\n"])
def test_a_broken_installed_method_stops_no_other(package, body):
    path = package("zz_broken", body)

    known = registry.load()

    assert known.broken.keys() == {"zz_broken"}
    assert str(path) in known.broken["zz_broken"]
    assert "FT" in known.methods


def test_methods_of_other_distributions_are_found_by_their_entry_points(tmp_path, monkeypatch):
    (tmp_path / "zz_third_party.py").write_text(
        "from mubench import method\n" + METHOD.format(name="Third", doc="T."), encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    entries = [
        metadata.EntryPoint("third", "zz_third_party", registry.GROUP),
        metadata.EntryPoint("gone", "zz_not_installed", registry.GROUP),
    ]
    monkeypatch.setattr(metadata, "entry_points", lambda group: entries if group == registry.GROUP else [])

    known = registry.load()

    assert (known.get("Third").module, known.broken.keys()) == ("zz_third_party", {"gone"})
    assert registry.load_function(known.get("Third")).__name__ == "unlearn"
