"""The arrows between modules, lazy and TYPE_CHECKING ones included; lint-imports holds the layers."""

import sys
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

LEAVES = ("mubench.errors", "mubench.streams", "mubench.version")


@pytest.fixture(scope="module")
def imports():
    """Module -> the modules it imports, of the program and of methods/."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    try:
        graph = grimp.build_graph("mubench", "methods", cache_dir=None)
    finally:
        del sys.path[0]
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def test_there_is_no_circle(imports):
    order = list(TopologicalSorter(imports).static_order())  # CycleError names the modules of a circle

    assert order.index("mubench.errors") < order.index("mubench.cli")


@pytest.mark.parametrize(
    "package", ["methods", "mubench.datasets", "mubench.metrics", "mubench.models", "mubench.masks"]
)
def test_plugins_import_what_their_authors_see(imports, package):
    seen = ("mubench.api", package, *LEAVES)
    modules = [m for m in imports if m.startswith(f"{package}.")]
    strange = [
        f"{module} imports {target}"
        for module in modules
        for target in imports[module]
        if target != "mubench" and not any(target == s or target.startswith(f"{s}.") for s in seen)
    ]

    assert len(modules) >= 2
    assert not strange


def test_the_public_face_is_the_api(imports):
    face = imports["mubench"]

    assert "mubench.api.training" in face
    assert all(
        name.startswith(("mubench.api.", "mubench.scripting.")) or name == "mubench.version" for name in face
    )
