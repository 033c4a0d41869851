"""The pages of docs/ do what they say: their files are written, their code and their commands are run.

The blocks of a page share a folder and run in order. A block with a title is a file of that name. A block
below `<!-- not run: WHY -->` is only read: its commands and options must exist.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from mubench.cli import main
from mubench.planning import suite

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
_BLOCK = re.compile(
    r"^(?P<why><!-- not run: [^\n]+ -->\n)?"
    r"```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$",
    re.M | re.S,
)


@dataclass(frozen=True)
class Block:
    """A fenced block. title: the file that it is, or nothing. runs: unless its page says otherwise."""

    language: str
    title: str
    text: str
    runs: bool

    @property
    def commands(self) -> list[list[str]]:
        """The words of each line of a shell block, comments aside."""
        lines = self.text.splitlines() if self.language == "sh" else []
        return [words for words in (shlex.split(line, comments=True) for line in lines) if words]


def blocks(text: str) -> list[Block]:
    return [
        Block(found["language"], found["title"] or "", found["text"], not found["why"])
        for found in _BLOCK.finditer(text)
    ]


def runnable(page: Path) -> bool:
    found = blocks(page.read_text(encoding="utf-8"))
    return any(b.runs and (b.commands or b.language == "python") for b in found)


# data.md, gpu.md and performance.md show commands for data and machines that are not here.
RUN = [page for page in PAGES if runnable(page) and page.name not in ("data.md", "gpu.md", "performance.md")]


def run_page(text: str, folder: Path, environment: dict[str, str]) -> list[str]:
    """Write and run the blocks of a page in `folder`; what was run. AssertionError where one fails."""
    done = []
    for block in blocks(text):
        if not block.runs:
            continue
        if block.title:
            (folder / block.title).write_text(block.text, encoding="utf-8")
            continue
        calls = [["-c", block.text]] if block.language == "python" else []
        for words in block.commands:
            assert words[0] == "mubench", f"{shlex.join(words)}: mark the block as not run"
            calls.append(["-m", *words])
        for call in calls:
            ended = subprocess.run(
                [sys.executable, *call],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert ended.returncode == 0, f"{shlex.join(call)}\n{ended.stdout}\n{ended.stderr}"
            done.append(shlex.join(call))
    return done


@pytest.fixture(scope="module")
def readers_store(tmp_path_factory):
    """The store of somebody who reads page after page: what one page trained the next one finds."""
    return tmp_path_factory.mktemp("reader") / "store"


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.stem)
def test_a_page_does_what_it_says(page, tmp_path, readers_store):
    store = tmp_path / "store" if page.stem == "store" else readers_store  # that page empties it
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "published").symlink_to(ROOT / "results" / "published")
    environment = {**os.environ, "MUBENCH_STORE": str(store), "MPLBACKEND": "agg"}
    before = {p: p.stat().st_mtime_ns for p in (ROOT / "results" / "published").rglob("*")}

    assert run_page(page.read_text(encoding="utf-8"), tmp_path, environment)

    assert {p: p.stat().st_mtime_ns for p in (ROOT / "results" / "published").rglob("*")} == before


def test_pages_are_read_as_they_are_meant(tmp_path):
    text = (
        '```python title="a.py"\nx = 3\n```\n\n```python\nimport a\nassert a.x == 3\n```\n'
        "<!-- not run: no -->\n```sh\nmubench nonsense\n```\n```sh\nmubench --version  # a comment\n```\n"
        "<!-- not run: no -->\n```sh\nmubench nonsense\n```\n"
    )

    done = run_page(text, tmp_path, dict(os.environ))

    assert done == [shlex.join(["-c", "import a\nassert a.x == 3\n"]), "-m mubench --version"]
    with pytest.raises(AssertionError, match=r"a\.x == 4"):
        run_page(text.replace("a.x == 3", "a.x == 4"), tmp_path, dict(os.environ))
    with pytest.raises(AssertionError, match=r"pip install \.: mark the block"):
        run_page("```sh\npip install .\n```\n", tmp_path, dict(os.environ))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_and_option_of_a_page_exists(page):
    for block in blocks(page.read_text(encoding="utf-8")):
        for words in block.commands:
            if words[0] != "mubench" or words[1].startswith("--"):
                continue
            command = main.commands.get(words[1])
            if isinstance(command, click.Group):
                command = command.commands.get(words[2])
            assert command is not None, words
            known = {option for p in command.params for option in (*p.opts, *p.secondary_opts)}
            assert [w for w in words[2:] if w.startswith("--") and w not in known] == [], words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_suites_of_a_page_are_suites(page, tmp_path):
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.title.endswith(".toml"):
            file = tmp_path / block.title
            file.write_text(block.text, encoding="utf-8")
            assert suite.load(file).title in block.text


def test_every_page_has_a_place_in_the_site_and_every_place_a_page():
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    named = re.findall(r": (\S+\.md)$", nav, re.M)

    assert len(named) == len(set(named))
    assert {p.name for p in PAGES} == {name for name in named if "/" not in name}
