"""The pages that the site makes of docstrings, and the links that leave docs/."""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def tool(monkeypatch):
    """`tool(name)`: a module of tools/."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    yield importlib.import_module
    for name in [n for n in sys.modules if n.startswith("site_")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("doc", "shown"),
    [
        ("theta <- a_b * c", r"theta &lt;- a\_b \* c"),
        ("`a_b * c` and a_b", r"`a_b * c` and a\_b"),
        ("One.\n\n    x_1 = 2 * 3\n    y = 1\n\nTwo|.", "One.\n\n    x_1 = 2 * 3\n    y = 1\n\nTwo\\|."),
        ("[a](b) #1", r"\[a\](b) \#1"),
    ],
)
def test_a_docstring_is_shown_as_it_is(tool, doc, shown):
    assert tool("site_text").prose(doc) == shown


def test_a_signature_is_shown_as_the_source_has_it(tool):
    signature = tool("site_api").signature

    def plain(model: Model, *, lr: float = 0.1, name: str = "x") -> None: ...  # noqa: F821

    def many(
        first, /, *rest: int, option: dict[str, tuple[int, ...]] | None = None, last: int = 3, **more
    ): ...

    plain.__annotations__ = {"model": "Model", "lr": "float", "name": "str", "return": "None"}
    assert signature("plain", plain) == "plain(model: Model, *, lr: float = 0.1, name: str = 'x') -> None"
    assert signature("plain", plain, method=True) == "plain(*, lr: float = 0.1, name: str = 'x') -> None"
    lines = signature("many", many).splitlines()
    assert lines[:3] == ["many(", "    first,", "    /,"]
    assert lines[3:5] == ["    *rest: int,", "    option: dict[str, tuple[int, ...]] | None = None,"]
    assert lines[-2:] == ["    **more,", ")"]


def test_the_reference_has_every_public_name_and_its_docstring(tool):
    import mubench

    page = tool("site_api").api_page()

    names = [name for name in mubench.__all__ if not name.startswith("_")]
    assert sorted(line[4:] for line in page.splitlines() if line.startswith("### ")) == sorted(names)
    assert tool("site_text").prose(inspect.getdoc(mubench.Step)) in page
    assert "\nStep(\n    model: nn.Module,\n    loss: Callable[..., Tensor],\n" in page


def test_the_catalogue_has_every_plugin_with_its_parameters(tool):
    pages = tool("site_pages").PAGES
    from mubench.discovery.find import Catalogue

    catalogue = Catalogue()
    for kind in ("methods", "metrics", "datasets"):
        page = pages[f"catalogue/{kind}.md"]()
        found = [line[3:].replace("\\", "") for line in page.splitlines() if line.startswith("## ")]
        assert sorted(found) == sorted(getattr(catalogue, kind))
        assert str(ROOT) not in page  # no path of the machine that built it
    page = pages["catalogue/methods.md"]().partition("\n## SalUn\n")[2].partition("\n## ")[0]
    assert "| `rho` | float | `0.5` | 0.1, 0.3, 0.5, 0.7, 0.9 |" in page
    assert r"theta\_u = theta\_o + M \* delta" in page


def test_the_commands_page_has_the_help_of_each(tool):
    from mubench.cli import main

    page = tool("site_pages").commands_page()

    assert [line for line in page.splitlines() if line.startswith("## ")] == [
        f"## mubench {name}" for name in sorted(main.commands)
    ]
    assert "Usage: mubench compare [OPTIONS] FIRST SECOND" in page
    assert "\n### mubench store prune\n" in page
    assert "Usage: mubench store import [OPTIONS] ARCHIVE" in page


def test_a_link_that_leaves_docs_leads_to_the_copy_in_the_site(tool):
    pytest.importorskip("mkdocs")
    hooks = tool("site_hooks")

    for path in ("docs/data.md", "CONTRIBUTING.md", "results/published/digits-random-50/table.md"):
        assert hooks.in_repository(hooks.in_site(path)) == path
    text = (
        "[a](../CONTRIBUTING.md#a-model) [b](gone.md) [c](https://x.y/data.md) [d](data.md) [e](../../x.md)"
    )
    assert dict(hooks.targets("docs/faq.md", text)) == {
        "../CONTRIBUTING.md": "CONTRIBUTING.md",
        "data.md": "docs/data.md",
    }
    assert dict(hooks.targets("README.md", "[a](docs/data.md)")) == {"docs/data.md": "docs/data.md"}

    class Page:
        file = type("File", (), {"src_uri": "faq.md"})

    assert hooks.on_page_markdown(text, Page, None, None) == text.replace("../CONT", "repository/CONT")
    outside = hooks.outside()
    assert {"CONTRIBUTING.md", "results/published/digits-random-50/plots/avg_gap.png"} <= set(outside)
    assert all((ROOT / path).is_file() for path in outside)
