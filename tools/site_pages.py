"""The pages of the site that nobody writes: what plugins, suites and commands say of themselves.

Nothing of it is kept in the repository: `mkdocs build` makes the pages anew from the installed plugins.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from site_api import api_page
from site_text import escaped, prose

from mubench.cli import main
from mubench.commands.list import listing

Entry = Mapping[str, Any]
# What a metric is given, as `needs` names it.
_NEEDS = {
    "cell": "the row's own outputs",
    "pair": "the row's and Retrain's outputs",
    "row": "the outputs of all seeds",
    "row_pair": "the row's and Retrain's outputs, all seeds at once",
    "original": "the row's and the Original's outputs",
    "retrains": "all seeds, their further Retrains and their Originals",
}
_BETTER = {"reference": "Retrain's value", "higher": "higher", "lower": "lower"}


def grid(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table for Markdown; its cells are escaped already."""
    lines = [header, [":--"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _link(name: str) -> str:
    """To the section of this name, as the table of contents calls it."""
    anchor = re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", name).strip().lower())
    return f"[{escaped(name)}](#{anchor})"


def _file_doc(entry: Entry) -> str:
    """The docstring of the plugin's file."""
    return ast.get_docstring(ast.parse(Path(entry["path"]).read_text(encoding="utf-8"))) or ""


def _parameters(entry: Entry) -> str:
    if not entry["parameters"]:
        return "No parameters."
    search = entry.get("search", {})

    def searched(name: str) -> str:
        space = search.get(name)
        if not space:
            return ""
        if "log" in space:
            return f"{space['log'][0]:g} to {space['log'][1]:g}, log"
        return ", ".join(map(str, space["choices"]))

    rows = [
        [f"`{p['name']}`", escaped(p["type"]), "" if p.get("required") else f"`{p['default']!r}`"]
        + [searched(p["name"])] * bool(search)
        for p in entry["parameters"]
    ]
    return grid(["parameter", "type", "default", *["searched by `mubench tune`"] * bool(search)], rows)


def _plugins(kind: str) -> list[Entry]:
    entries = listing(kind)
    if broken := [e["summary"] for e in entries if "error" in e]:
        raise ValueError(f"no catalogue of the {kind}: {broken[0]}")
    return entries


def _own(entry: Entry) -> str:
    """Whether the method trains an original of its own."""
    if not entry["original"]:
        return ""
    return (
        " It trains an original of its own kind, is compared with that kind's own Retrain, and has no rank."
    )


def methods_page() -> str:
    """A section per method: what its file and its function say, and what it declares."""
    entries = _plugins("methods")
    titles = {e["name"]: _file_doc(e).partition("\n")[0] for e in entries}
    overview = grid(
        ["method", "what it is", "sees", "source"],
        (
            [
                _link(e["name"]),
                escaped(titles[e["name"]].removeprefix(f"{e['name']}: ")),
                " and ".join(e["sees"]) or "nothing",
                escaped(e["cite"]),
            ]
            for e in entries
        ),
    )
    sections = [
        f"## {escaped(e['name'])}\n\n{prose(_file_doc(e))}\n\n{prose(e['doc'])}\n\n"
        f"Role: {e['role']}. Forgets: {', '.join(e['scenarios'])}. "
        f"File: `{'/'.join(Path(e['path']).parts[-2:])}`.{_own(e)}\n\n{_parameters(e)}"
        for e in entries
    ]
    head = (
        "# Methods\n\nMade from the methods' own docstrings. A default is what counts if a suite says "
        "nothing; the suites of the digits say what was tuned on them."
    )
    return "\n\n".join([head, overview, *sections]) + "\n"


def metrics_page() -> str:
    """A section per metric, with the definition from the head of its file once per file."""
    entries = _plugins("metrics")
    overview = grid(
        ["metric", "column", "the goal", "computed from"],
        (
            [
                _link(e["name"]),
                escaped(e["title"]) if e["column"] is not None else "cells.csv only",
                _BETTER.get(e["better"], e["better"]),
                _NEEDS.get(e["needs"], e["needs"]),
            ]
            for e in entries
        ),
    )
    sections = []
    for e in entries:
        text = f"## {escaped(e['name'])}\n\n**{escaped(e['title'])}.** {prose(e['doc'])}"
        sections.append(
            f"{text}\n\n{prose(_file_doc(e))}\n\n{_parameters(e) if e['parameters'] else ''}".rstrip()
        )
    head = (
        "# Metrics\n\nMade from the metrics' own docstrings. How to read the main ones, and how sure they "
        "are: [What they mean](../numbers.md)."
    )
    return "\n\n".join([head, overview, *sections]) + "\n"


def datasets_page() -> str:
    """A section per dataset."""
    sections = [
        f"## {escaped(e['name'])}\n\n**{escaped(e['title'])}.** {prose(e['doc'])}\n\n{_parameters(e)}"
        for e in _plugins("datasets")
    ]
    head = "# Datasets\n\nWhere their files lie, and how to add your own, is in [Data](../data.md)."
    return "\n\n".join([head, *sections]) + "\n"


def models_page() -> str:
    """A line per model: the families share a docstring."""
    by_doc: dict[str, list[str]] = {}
    for entry in _plugins("models"):
        by_doc.setdefault(entry["doc"], []).append(entry["name"])
    sections = [f"{prose(doc)}\n\n{', '.join(f'`{n}`' for n in names)}" for doc, names in by_doc.items()]
    head = "# Models\n\nAll get the same normalisation and the same head; the name is a suite's `model`."
    return "\n\n".join([head, *sections]) + "\n"


def suites_page() -> str:
    """A section per suite: its title, and its file as it is."""
    entries = listing("suites")
    overview = grid(["suite", "what it is"], ([_link(e["name"]), escaped(e["summary"])] for e in entries))
    sections = [
        f"## {e['name']}\n\n```toml\n{Path(e['path']).read_text(encoding='utf-8').strip()}\n```"
        for e in entries
    ]
    head = "# Suites\n\nA suite is one TOML file; these come along. `mubench run --suite NAME` runs one."
    return "\n\n".join([head, overview, *sections]) + "\n"


def commands_page() -> str:
    """The help of every command."""
    sections = []
    for name, command in sorted(main.commands.items()):
        below = command.commands if isinstance(command, click.Group) else {}
        for one, words in ((command, name), *((c, f"{name} {n}") for n, c in sorted(below.items()))):
            context = click.Context(one, info_name=f"mubench {words}", terminal_width=90)
            level = "##" if one is command else "###"
            sections.append(f"{level} mubench {words}\n\n```text\n{one.get_help(context)}\n```")
    head = "# Commands\n\nThe exit code is 0, 1 if a method failed (its table is written), 2 for wrong input."
    return "\n\n".join([head, *sections]) + "\n"


# Where in the site -> what makes the page.
PAGES: dict[str, Callable[[], str]] = {
    "catalogue/methods.md": methods_page,
    "catalogue/metrics.md": metrics_page,
    "catalogue/datasets.md": datasets_page,
    "catalogue/models.md": models_page,
    "catalogue/suites.md": suites_page,
    "reference/commands.md": commands_page,
    "reference/api.md": api_page,
}
