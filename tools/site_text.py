"""Docstrings as Markdown that shows them as they are."""

from __future__ import annotations

import re


def escaped(text: str) -> str:
    """Text for Markdown, character by character as it is; `code` stays code."""
    parts = re.split(r"(`[^`\n]+`)", text)
    return "".join(
        p if i % 2 else re.sub(r"([\\*_\[\]#|])", r"\\\1", p) for i, p in enumerate(parts)
    ).replace("<", "&lt;")


def prose(doc: str) -> str:
    """A docstring for Markdown: its paragraphs, escaped, and what it indents as code."""
    paragraphs = re.split(r"\n\s*\n", doc.strip("\n"))
    return "\n\n".join(
        p if all(line.startswith("    ") for line in p.splitlines()) else escaped(p) for p in paragraphs
    )
