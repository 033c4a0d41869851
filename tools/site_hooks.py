"""What `mkdocs build` does beyond rendering docs/: it adds pages, and mends links that leave docs/.

A page of docs/ links to files of the repository as they lie, so that its links work where the repository
is shown, too. The site gets a copy of each such file under repository/, Markdown as a page.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File
from site_pages import PAGES

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
# Pages of the site that lie outside docs/, whether or not a page links to them.
WANTED = ("CONTRIBUTING.md", "CHANGELOG.md")
_LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=(?:#[^)\s]*)?\))")


def in_site(path: str) -> str:
    """Where a file of the repository is in the site's sources."""
    return path.removeprefix("docs/") if path.startswith("docs/") else f"repository/{path}"


def in_repository(path: str) -> str:
    """Where a file of the site's sources is in the repository."""
    return path.removeprefix("repository/") if path.startswith("repository/") else f"docs/{path}"


def targets(path: str, text: str) -> Iterator[tuple[str, str]]:
    """(link, the repository's file that it means) of every relative link of a page that is a file."""
    for link in _LINK.findall(text):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
        if not target.startswith("..") and (ROOT / target).is_file():
            yield link, target


def outside() -> list[str]:
    """The files outside docs/ that the site shows: those wanted, and all that pages link to, page by page."""
    pending = [*(f"docs/{p.name}" for p in sorted((ROOT / "docs").glob("*.md"))), *WANTED]
    seen = set(pending)
    while pending:
        path = pending.pop()
        if path.endswith(".md"):
            found = {target for _, target in targets(path, (ROOT / path).read_text(encoding="utf-8"))}
            pending += found - seen
            seen |= found
    return sorted(path for path in seen if not path.startswith("docs/"))


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and the files outside docs/."""
    for path, make in PAGES.items():
        files.append(File.generated(config, path, content=make()))
    for path in outside():
        files.append(File.generated(config, in_site(path), abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to the repository's files lead to where the site has them."""
    here = page.file.src_uri
    if here in PAGES:
        return markdown
    moved = {
        link: posixpath.relpath(in_site(target), posixpath.dirname(here) or ".")
        for link, target in targets(in_repository(here), markdown)
    }
    return _LINK.sub(lambda found: moved.get(found[1], found[1]), markdown)
