"""How plugins of every kind are found, cached and refused."""

import ast
import importlib
import sys
from importlib import metadata

import pytest

import mubench.methods
from mubench.api.method import Role
from mubench.discovery import find, source
from mubench.discovery.find import Catalogue, load_function, load_plugin
from mubench.discovery.source import keep, packages, recall, source_digest, source_files
from mubench.errors import UsageError

METHOD = """
@method("{name}", sees="forget", cite="N")
def unlearn(model, task, *, lr: float = 0.1):
    '''{doc}'''
"""
EVERY_KIND = (
    METHOD.format(name="Mine", doc="Mine.")
    + '''
from mubench import dataset, metric, model

@metric("size", title="Size", better="higher")
def size(outputs, *, scale: float = 1.0):
    """How many images are forgotten."""
    return scale * len(outputs.of("forget")[1])

@dataset("dots", title="Dots")
def dots(*, count: int = 3):
    """Made up."""

@model("tiny-net")
def tiny_net(channels):
    """Nothing but a mean."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), channels
'''
)


def kinds(catalogue):
    return {kind: getattr(catalogue, kind) for kind in ("methods", "metrics", "datasets", "models")}


def test_one_file_may_declare_plugins_of_every_kind(plugin_file):
    path = plugin_file(EVERY_KIND)
    catalogue, before = Catalogue([path]), Catalogue()

    new = {kind: found.keys() - kinds(before)[kind].keys() for kind, found in kinds(catalogue).items()}

    assert new == {"methods": {"Mine"}, "metrics": {"size"}, "datasets": {"dots"}, "models": {"tiny-net"}}
    spec = catalogue.methods["Mine"]
    assert (spec.path, spec.module, spec.doc) == (str(path), "", "Mine.")
    assert load_function(catalogue.models["tiny-net"])(3)[1] == 3
    assert catalogue.metrics["size"].bind({"scale": 2}, "") == {"scale": 2.0}
    with pytest.raises(UsageError, match=r"unknown method 'Mien' in x\. Did you mean 'Mine'"):
        catalogue.methods.find("Mien", "x")


def test_what_is_built_in():
    catalogue = Catalogue()

    assert {"Retrain", "Original", "FT", "WSS-CL"} <= catalogue.methods.keys()
    assert {
        "arrays",
        "cifar10",
        "cifar100",
        "digits",
        "fashion-mnist",
        "folder",
        "svhn",
    } == catalogue.datasets.keys()
    assert {"small-cnn", "resnet8", "resnet18", "vgg16-bn", "mobilenet_v2"} <= catalogue.models.keys()
    assert {"ua", "ra", "ta", "fta", "va", "mia", "mia_svc", "auc", "js", "tow"} <= catalogue.metrics.keys()
    assert {"activation", "iam", "nomus", "rf_jsd", "rmia"} <= catalogue.metrics.keys()
    assert all(
        s.doc and len(s.source) == 64 and not found.broken
        for found in kinds(catalogue).values()
        for s in found.values()
    )


def test_an_edited_plugin_is_imported_anew(plugin_file):
    for doc in ("One.", "Two."):
        (spec,) = load_plugin(plugin_file(METHOD.format(name="Mine", doc=doc)))
        assert (spec.doc, load_function(spec).__doc__) == (doc, doc)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("def broken(:\n", "cannot be loaded: SyntaxError"),
        ("1 / 0\n", "cannot be loaded: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)\n", "cannot be loaded: SystemExit: 3"),
        ("import module_that_is_not_there\n", "cannot be loaded: ModuleNotFoundError"),
        ("@method('X')\ndef unlearn(model): pass\n", "cannot be loaded: TypeError: method 'X'"),
        ("x = 1\n", r"declares nothing: decorate a function with @method"),
        ("from mubench.methods.ft import fine_tune\n", "declares nothing"),
    ],
)
def test_plugins_that_cannot_be_loaded(plugin_file, body, message):
    path = plugin_file(body)

    with pytest.raises(UsageError, match=message) as caught:
        Catalogue([path])
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_plugins_that_are_not_there(tmp_path):
    (tmp_path / "mine.py").write_text("", encoding="utf-8")
    for path, message in (
        (tmp_path / "absent.py", r"there is no such file\.$"),
        (tmp_path / "mime.py", r"there is no such file\. Did you mean 'mine\.py'"),
        (tmp_path, "is a folder"),
    ):
        with pytest.raises(UsageError, match=message):
            Catalogue([path])


def test_two_of_one_name_name_both_files(plugin_file):
    one, two = (plugin_file(METHOD.format(name="Twice", doc="T."), name) for name in ("one", "two"))
    other = plugin_file(METHOD.format(name="FT", doc="T."), "other")
    metric = plugin_file(EVERY_KIND.replace('"size"', '"ua"', 1), "metric")

    with pytest.raises(UsageError, match=f"two methods are called 'Twice': {one} and {two}"):
        Catalogue([one, two]).methods  # noqa: B018
    with pytest.raises(UsageError, match=rf"two methods are called 'FT': .*ft\.py and {other}"):
        Catalogue([other]).methods  # noqa: B018
    with pytest.raises(UsageError, match=rf"two metrics are called 'ua': .*accuracy\.py and {metric}"):
        Catalogue([metric]).metrics  # noqa: B018
    assert Catalogue([one, one]).methods["Twice"].path == str(one)


def test_roles_are_held_by_one_method_each(plugin_file):
    path = plugin_file('@method("Mine", role="reference")\ndef mine(model, task): "Mine."\n')
    catalogue = Catalogue()

    assert catalogue.with_role(Role.REFERENCE).name == "Retrain"
    assert catalogue.with_role(Role.BASELINE).name == "Original"
    with pytest.raises(UsageError, match=r"exactly one method .*'reference'.*retrain\.py.*mine\.py"):
        Catalogue([path]).with_role(Role.REFERENCE)


def test_declarations_are_cached_by_source_and_nothing_is_imported_for_them(plugin_file, tmp_path):
    marker = tmp_path / "imported"
    path = plugin_file(f"open({str(marker)!r}, 'a').write('x')\n" + EVERY_KIND)
    cache = tmp_path / "specs"

    def reload():
        for name in [n for n in sys.modules if n.startswith("mubench_plugin_")]:
            del sys.modules[name]
        return load_plugin(path, cache), len(marker.read_text())

    specs, imports = reload()
    assert imports == 1
    assert reload() == (specs, 1)
    path.write_text(path.read_text() + "\n# another\n")
    changed, imports = reload()
    assert (changed, imports) == (specs, 2)  # a comment means nothing, but a declaration is read anew
    for file in cache.iterdir():
        file.write_text("{ damaged")
    assert reload() == (changed, 3)
    assert reload() == (changed, 3)


def test_a_changed_byte_of_the_cache_is_noticed(plugin_file, tmp_path):
    path = plugin_file(METHOD.format(name="Mine", doc="Mine."))
    (spec,) = load_plugin(path, tmp_path / "specs")
    (file,) = (tmp_path / "specs").iterdir()
    file.write_text(file.read_text().replace("0.1", "0.9"))

    assert load_plugin(path, tmp_path / "specs") == [spec]


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
    user = package("zz_user", f"{line}\nimport json, mubench.api.method\n")
    digests = [source_digest(user)]

    for file in (helper, base, user):
        file.write_text(file.read_text() + "edited = True\n")
        digests.append(source_digest(user))
    other.write_text("z = 2\n")

    assert len(set(digests)) == 4
    assert source_digest(user) == digests[-1]
    assert source_files(user) == sorted([base, helper, user])


NOTE = """'Doc.'
@method("Mine", cite="A", search={"lr": log_uniform(1e-3, 1.0)})
def f(model, task, *, lr: float = 0.1):
    'Doc.'
    return lr * 2
"""


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("Doc.", "Another.", True),
        ('cite="A"', 'cite="B, 2024"', True),
        ("log_uniform(1e-3, 1.0)", "log_uniform(1e-5, 1.0)", True),
        ("    return", "    # a comment\n    return", True),
        ("return lr * 2", "return (lr * 2)", True),
        ("f(model, task, *", "f(model: Any, task: Any, *", True),
        ("return lr * 2", "return lr * 3", False),
        ("= 0.1", "= 0.2", False),
        ('"Mine"', '"Yours"', False),
        ("    return lr", '    "x" + "y"\n    return lr', False),
    ],
)
def test_a_source_is_what_it_means(tmp_path, old, new, same):
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text(NOTE)
    two.write_text(NOTE.replace(old, new))

    assert NOTE.replace(old, new) != NOTE
    assert (source_digest(one) == source_digest(two)) is same


def test_a_method_dropped_into_the_package_is_found(package):
    package("zz_new", "from mubench import method\n" + METHOD.format(name="New", doc="New."))

    spec = Catalogue().methods["New"]

    assert spec.module == "mubench.methods.zz_new"
    assert load_function(spec).__name__ == "unlearn"


@pytest.mark.parametrize("body", ["1 / 0\n", "raise SystemExit(1)\n", "def broken(:\n"])
def test_a_broken_installed_method_stops_no_other(package, body):
    path = package("zz_broken", body)

    with pytest.warns(UserWarning, match=r"the methods of mubench.methods.zz_broken cannot be loaded"):
        methods = Catalogue().methods

    assert methods.broken.keys() == {"zz_broken"}
    assert str(path) in methods.broken["zz_broken"]
    assert "FT" in methods


@pytest.mark.parametrize("kind", ["methods", "metrics", "datasets", "models"])
def test_plugins_of_other_distributions_are_found_by_their_entry_points(tmp_path, monkeypatch, kind):
    text = "from torch import nn\nfrom mubench import method\n" + EVERY_KIND
    (tmp_path / f"zz_third_party_{kind}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    entries = [
        metadata.EntryPoint("third", f"zz_third_party_{kind}", f"mubench.{kind}"),
        metadata.EntryPoint("gone", "zz_not_installed", f"mubench.{kind}"),
    ]
    monkeypatch.setattr(find.metadata, "entry_points", metadata.EntryPoints(entries).select)

    with pytest.warns(UserWarning, match=f"the {kind} of zz_not_installed cannot be loaded"):
        found = kinds(Catalogue())

    (name,) = kinds(Catalogue())[kind].keys() & {"Mine", "size", "dots", "tiny-net"}
    assert found[kind][name].module == f"zz_third_party_{kind}"
    assert found[kind].broken.keys() == {"gone"}
    assert all(not found[k].keys() & {"Mine", "size", "dots", "tiny-net"} for k in found if k != kind)


def test_a_digest_does_not_depend_on_the_version_of_python(tmp_path):
    path = tmp_path / "one.py"
    path.write_text(NOTE)

    # Python 3.13 leaves empty fields out of ast.dump, 3.12 added type parameters to functions
    assert source_digest(path) == "2cddd880b07082133c6b439f6f4225bb0f16d457d594fddd3f75e60e4fe3f067"


@pytest.fixture
def forgetful(monkeypatch):
    """Call it to be a process that has read no source yet."""

    def forget():
        monkeypatch.setattr(source, "_READ", {})
        monkeypatch.setattr(source, "_NEW", set())

    forget()
    return forget


def test_a_source_that_was_read_before_is_not_parsed_again(tmp_path, monkeypatch, forgetful):
    path, other = tmp_path / "one.py", tmp_path / "other.py"
    path.write_text(NOTE)
    other.write_text("import scipy.stats\n" + NOTE)
    digests, names = [source_digest(path), source_digest(other)], packages(other)
    keep(tmp_path / "cache")

    forgetful()
    monkeypatch.setattr(ast, "parse", lambda *_: pytest.fail("parsed"))
    recall(tmp_path / "cache")
    assert ([source_digest(path), source_digest(other)], packages(other)) == (digests, names)
    assert "scipy" in names
    path.write_text(other.read_text())  # the bytes count, not the name
    assert source_digest(path) == digests[1]


@pytest.mark.parametrize("text", ["", "[]", '{"value": [["a", "b", [[0, "c"]]]], "sealed": "d"}'])
def test_a_damaged_memory_of_sources_is_none(tmp_path, forgetful, text):
    path = tmp_path / "one.py"
    path.write_text(NOTE)
    before = source_digest(path)
    keep(tmp_path)
    (memory,) = tmp_path.glob("sources-*.json")
    memory.write_text(text)

    forgetful()
    recall(tmp_path)
    assert source._READ == {}
    assert source_digest(path) == before
    keep(tmp_path)
    forgetful()
    recall(tmp_path)
    assert len(source._READ) == 1


def test_sources_are_kept_only_where_a_new_one_was_read(tmp_path, forgetful):
    path = tmp_path / "one.py"
    path.write_text(NOTE)
    source_digest(path)
    keep(tmp_path / "a")
    keep(tmp_path / "b")
    assert not (tmp_path / "b").exists()

    for i in range(source._MOST + 5):
        path.write_text(f"{i}\n")
        source_digest(path)
    keep(tmp_path / "a")
    forgetful()
    recall(tmp_path / "a")
    assert len(source._READ) == source._MOST
