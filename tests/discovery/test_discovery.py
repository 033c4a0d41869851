"""How plugins are found, cached and refused."""

import importlib
import sys
from importlib import metadata

import pytest

import mubench.methods
from mubench.discovery import methods as registry
from mubench.errors import UsageError

METHOD = """
@method("{name}", sees="forget", cite="N")
def unlearn(model, task, *, lr: float = 0.1):
    '''{doc}'''
"""


def test_a_plugin_from_a_file(plugin_file):
    path = plugin_file(METHOD.format(name="Mine", doc="Mine."))

    known = registry.load([path])

    spec = known.get("Mine")
    assert (spec.path, spec.module, spec.doc) == (str(path), "", "Mine.")
    assert registry.load_function(spec).__mubench__.name == "Mine"
    assert {"Retrain", "Original", "FT"} <= known.methods.keys()
    assert known.broken == {}
    with pytest.raises(UsageError, match=r"unknown method 'Mien' in x\. Did you mean 'Mine'"):
        known.get("Mien", "x")


def test_an_edited_plugin_is_imported_anew(plugin_file):
    for doc in ("One.", "Two."):
        (spec,) = registry.load_plugin(plugin_file(METHOD.format(name="Mine", doc=doc)))
        assert (spec.doc, registry.load_function(spec).__doc__) == (doc, doc)


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
    (tmp_path / "mine.py").write_text("", encoding="utf-8")
    for path, message in (
        (tmp_path / "absent.py", r"there is no such file\.$"),
        (tmp_path / "mime.py", r"there is no such file\. Did you mean 'mine\.py'"),
        (tmp_path, "is a folder"),
    ):
        with pytest.raises(UsageError, match=message):
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
    path, cache = plugin_file(body), tmp_path / "specs"

    def reload():
        for name in [n for n in sys.modules if n.startswith("mubench_plugin_")]:
            del sys.modules[name]
        (spec,) = registry.load_plugin(path, cache)
        return spec, len(marker.read_text())

    spec, imports = reload()
    assert imports == 1
    assert reload() == (spec, 1)
    path.write_text(path.read_text() + "\n# another\n")
    changed, imports = reload()
    assert (imports, changed.doc) == (2, spec.doc)
    assert changed.source != spec.source
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
    user = package("zz_user", f"{line}\nimport json, mubench.api.method\n")
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

    spec = registry.load().get("New")

    assert spec.module == "mubench.methods.zz_new"
    assert registry.load_function(spec).__name__ == "unlearn"


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
