"""What a console without a terminal is like: its width, and characters it cannot encode."""

import io
import sys

import pytest
from rich.table import Table

from mubench.commands.console import WIDE, make_console, print_any_character
from mubench.errors import printable


@pytest.mark.parametrize(("columns", "width"), [("60", 60), ("", WIDE), ("wide", WIDE)])
def test_the_width_is_columns_or_wide(monkeypatch, columns, width):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    console = make_console()

    console.print(Table(*[f"column {i}" for i in range(40)]))

    assert max(map(len, sys.stdout.getvalue().splitlines())) == width


def test_a_stream_that_cannot_encode_a_character_prints_another(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii"))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), "ascii"))
    print_any_character()

    console = make_console()
    console.print("1.00 ± 0.10")
    console.print(Table("Row", title="α"))
    sys.stdout.flush()

    assert raw.getvalue().startswith(b"1.00 ? 0.10\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ± α [x]", "plain ± α [x]"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[2J\x00\x9b\x7f", r"\x1b[2J\x00\x9b\x7f"),
        ("caf\udce9", r"caf\udce9"),
        ("a\u202eb\u2028c", r"a\u202eb\u2028c"),
    ],
)
def test_what_cannot_be_printed_is_escaped(text, shown):
    assert printable(text) == shown
