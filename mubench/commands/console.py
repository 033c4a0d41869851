"""The terminal, a pipe or a file that a command prints to."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

# Of the terminal's own sixteen colours, those that stand out on a dark and on a light ground.
WARNING, ERROR, DONE, LEFT = "magenta", "red", "blue", "bright_black"
# A file or a pipe has no edge; a table is not cut off before this many columns.
WIDE = 200


def make_console(stderr: bool = False) -> Console:
    """A console for stdout or stderr that prints text as it is: no markup, no highlighting.

    Its width is the terminal's; without a terminal it is COLUMNS, or `WIDE` if that is not set.
    """
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not console.is_terminal and not os.environ.get("COLUMNS", "").isdigit():
        console.width = WIDE
    return console


def print_any_character() -> None:
    """Let characters that stdout and stderr cannot encode become "?" instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
