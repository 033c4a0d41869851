"""What `import mubench` offers."""

import ast
import importlib
from pathlib import Path

import mubench


def test_every_public_name_is_the_one_that_type_checkers_see():
    tree = ast.parse(Path(mubench.__file__).read_text(encoding="utf-8"))
    seen = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("mubench.")
        for alias in node.names
    }

    assert {*mubench.__all__} == {*seen}
    for name, module in seen.items():
        assert getattr(mubench, name) is getattr(importlib.import_module(module), name)
