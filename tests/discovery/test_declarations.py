"""What is read of a file without importing it is what importing it gives."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from mubench.api.spec import specs_of
from mubench.discovery.declarations import read_declarations
from mubench.discovery.find import PACKAGES

# These declare classes, which are imported: their files are light.
CLASSES = ("mubench.engines", "mubench.trackers")
FILES = [
    (file, f"{package}.{file.stem}")
    for package in PACKAGES.values()
    for folder in importlib.import_module(package).__path__
    for file in sorted(Path(folder).glob("*.py"))
    if package not in CLASSES and not file.stem.startswith("_")
]
PLAIN = """
from mubench import method, choice
LEAST = 2
@method("Mine", sees="forget", search={"epochs": choice(LEAST, 4)})
def mine(model, task, *, epochs: int = 2 * LEAST):
    raise RuntimeError
"""


def specs(module):
    """All that a module's functions declare, in its order."""
    own = [f for f in vars(module).values() if specs_of(f) and f.__module__ == module.__name__]
    return [spec for f in own for spec in specs_of(f)]


@pytest.mark.parametrize(("file", "module"), FILES, ids=[module for _, module in FILES])
def test_every_file_of_ours_is_read_as_it_is_imported(file, module):
    read = read_declarations(file, module)

    assert read is not None
    assert specs(read) == specs(importlib.import_module(module)) != []


def test_reading_them_all_imports_no_torch():
    code = (
        "import sys\n"
        "from mubench.discovery.find import Catalogue\n"
        "every = Catalogue()\n"
        "kinds = ('methods', 'masks', 'metrics', 'datasets', 'models', 'trackers')\n"
        "count = sum(len(getattr(every, kind)) for kind in kinds)\n"
        "print(count > 60, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


def test_constants_and_defaults_are_worked_out_and_nothing_else_runs(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(PLAIN + "\ndef other():\n    import nothing_like_it\n")
    (spec,) = specs(read_declarations(file, "mine"))

    assert (spec.name, spec.sees, spec.search) == ("Mine", ("forget",), {"epochs": {"choices": [2, 4]}})
    assert [(p.name, p.default) for p in spec.parameters] == [("epochs", 4)]


@pytest.mark.parametrize(
    "addition",
    [
        "for i in range(2):\n    pass\n",
        "LEAST = 3\n",
        "import no_such_package_anywhere\n",
        "again = method('Again')(mine)\n",
        "import functools\n@functools.wraps(mine)\ndef other(model, task): pass\n",
        "raise RuntimeError\n",
        "def broken(:\n",
    ],
)
def test_a_file_that_does_more_than_declare_is_left_to_be_imported(tmp_path, addition):
    file = tmp_path / "mine.py"
    file.write_text(PLAIN + addition)

    assert read_declarations(file, "mine") is None
