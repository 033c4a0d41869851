"""One `Table`, printed for the terminal, for Markdown and for LaTeX; and frames as CSV."""

from __future__ import annotations

import re

import pandas as pd
from rich import box
from rich.console import Group
from rich.table import Table as Grid
from rich.text import Text

from mubench.reporting.tables import Cell, Table


def terminal(table: Table) -> Group:
    """For a rich console: the grid, the caption and the notes."""
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, title in enumerate(table.header):
        word = i < table.labels
        grid.add_column(title, justify="left" if word else "right", no_wrap=word, overflow="fold")
    for number, row in enumerate(table.rows):
        if number in table.blocks[1:]:
            grid.add_section()
        # Without the space after ±, a narrow terminal breaks a cell into mean, ±std and (gap).
        grid.add_row(*(Text(c.text.replace("± ", "±"), "bold" if c.bold else "") for c in row))
    return Group(grid, Text(table.caption, "italic"), *(Text(f"- {note}", "dim") for note in table.notes))


def markdown(table: Table) -> str:
    """A pipe table with the caption and the notes under it, readable as plain text too."""

    def text(cell: Cell) -> str:
        return f"**{_md(cell.text)}**" if cell.bold else _md(cell.text)

    lines = [[_md(title) for title in table.header], *([text(c) for c in row] for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    words = table.labels
    rule = [":" + "-" * (w - 1) if i < words else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    grid = [
        "| "
        + " | ".join(
            t.ljust(w) if i < words else t.rjust(w) for i, (t, w) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in [lines[0], rule, *lines[1:]]
    ]
    notes = [f"- {_md(note)}" for note in table.notes]
    return "\n".join([*grid, "", _md(table.caption), "", *notes]) + "\n"


def _md(text: str) -> str:
    return re.sub(r"([\\|*<`])", r"\\\1", " ".join(text.split()))


def latex(table: Table) -> str:
    """A booktabs `tabular` for \\input{}; caption and notes stand above it as comments."""

    def text(cell: Cell) -> str:
        return rf"\textbf{{{escape(cell.text)}}}" if cell.bold else escape(cell.text)

    said = [f"% {escape(' '.join(line.split()))}" for line in (table.caption, *table.notes)]
    rules = dict.fromkeys(table.blocks[1:], r"\midrule")
    lines = [" & ".join(map(text, row)) + r" \\" for row in table.rows]
    grid = [
        rf"\begin{{tabular}}{{{'l' * table.labels}{'r' * (len(table.header) - table.labels)}}}",
        r"\toprule",
        " & ".join(map(escape, table.header)) + r" \\",
        r"\midrule",
        *(f"{rules[i]}\n{line}" if i in rules else line for i, line in enumerate(lines)),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join([*said, *grid]) + "\n"


def latex_standalone(table: Table) -> str:
    """A document of one page cut to the table, however wide its cells are; needs only booktabs."""
    notes = [rf"\par {escape(note)}" for note in table.notes]
    return "\n".join(
        [
            r"\documentclass{article}",
            r"\usepackage{booktabs}",
            r"\newsavebox{\grid}\newsavebox{\sheet}",
            r"\begin{document}",
            r"\begin{lrbox}{\grid}%",
            latex(table) + r"\end{lrbox}",
            r"\begin{lrbox}{\sheet}\begin{minipage}{\wd\grid}\raggedright\setlength{\parskip}{2pt}",
            r"\noindent\usebox{\grid}\par\medskip",
            escape(table.caption),
            r"\par\medskip\footnotesize",
            *notes,
            r"\end{minipage}\end{lrbox}",
            r"\pdfhorigin=5mm \pdfvorigin=5mm",
            r"\pdfpagewidth=\dimexpr\wd\sheet+10mm\relax",
            r"\pdfpageheight=\dimexpr\ht\sheet+\dp\sheet+10mm\relax",
            r"\shipout\box\sheet",
            r"\end{document}",
            "",
        ]
    )


_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    '"': "''",
    "±": r"$\pm$",
    "×": r"$\times$",
    "−": "$-$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "→": r"$\to$",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    **{c: rf"\{c}" for c in "&%$#_{}"},
}


def escape(text: str) -> str:
    """Text for LaTeX. A character that plain pdflatex has no glyph for becomes a question mark:
    an error message in any script must not stop a paper from compiling."""
    return "".join(_TEX.get(c) or (c if c.isascii() or re.match("[À-ÖØ-öø-ÿ]", c) else "?") for c in text)


def csv(frame: pd.DataFrame) -> str:
    """Every digit of every number, so that reading it back gives the same floats; NaN is empty."""
    return frame.to_csv(index=False, lineterminator="\n")
