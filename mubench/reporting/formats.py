"""One `Table`, printed for the terminal, for Markdown and for LaTeX; and frames as CSV."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd
from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table as Grid
from rich.text import Text

from mubench.reporting.tables import Table, TextCell


@dataclass(frozen=True)
class _Terminal:
    """A table for rich: where it is too wide, its columns are spread over several grids."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table, words = self.table, self.table.labels
        widths = _widths(table)
        room = options.max_width - sum(widths[:words])
        parts: list[list[int]] = []
        left = 0
        for i in range(words, len(widths)):
            if not parts or left < widths[i]:
                parts.append([])
                left = room
            parts[-1].append(i)
            left -= widths[i]
        for part in parts or [[]]:
            yield _grid(table, [*range(words), *part])


def _widths(table: Table) -> list[int]:
    """How wide each column is on a terminal, with the two spaces beside it."""
    columns = zip(table.header, *([c.text for c in row] for row in table.rows), strict=True)
    return [max(Text(_tight(text)).cell_len for text in column) + 2 for column in columns]


def needed(table: Table) -> int:
    """How many columns of a terminal the table takes."""
    return sum(_widths(table))


def _tight(text: str) -> str:
    return text.replace("± ", "±")


def _grid(table: Table, columns: list[int]) -> Grid:
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for i in columns:
        # Text and not str, in which rich would read [brackets] as markup.
        grid.add_column(
            Text(table.header[i]), justify="left" if i < table.labels else "right", overflow="fold"
        )
    for number, row in enumerate(table.rows):
        if number in table.blocks[1:]:
            grid.add_section()
        grid.add_row(*(Text(_tight(row[i].text), "bold" if row[i].bold else "") for i in columns))
    return grid


def terminal(table: Table) -> Group:
    """For a rich console: the grid, the caption and the notes."""
    return Group(
        _Terminal(table), Text(table.caption, "italic"), *(Text(f"- {note}", "dim") for note in table.notes)
    )


def markdown(table: Table) -> str:
    """A pipe table with the caption and the notes under it, readable as plain text too."""

    def text(cell: TextCell) -> str:
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
    """Text for Markdown: no emphasis, code, HTML, link or image, and no end of a cell."""
    return re.sub(r"([\\|*_<`]|\](?=[(\[:]))", r"\\\1", text)


def latex(table: Table) -> str:
    """A booktabs `tabular` for \\input{}, never wider than the line; caption and notes are comments above it.

    Where it would run off it is shrunk: fewer columns and the compact look keep its letters large.
    """
    comments = [f"% {escape(line)}" for line in (table.caption, *table.notes)]
    needs = r"% Needs \usepackage{booktabs,graphicx}."
    fit = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{\setlength{\tabcolsep}{4pt}%"
    return "\n".join([*comments, needs, fit, *_tabular(table)]) + "%\n}\n"


def _tabular(table: Table) -> list[str]:
    def text(cell: TextCell) -> str:
        return rf"\textbf{{{escape(cell.text)}}}" if cell.bold else escape(cell.text)

    rules = dict.fromkeys(table.blocks[1:], r"\midrule")
    lines = [" & ".join(map(text, row)) + r" \\" for row in table.rows]
    return [
        rf"\begin{{tabular}}{{@{{}}{'l' * table.labels}{'r' * (len(table.header) - table.labels)}@{{}}}}",
        r"\toprule",
        " & ".join(map(escape, table.header)) + r" \\",
        r"\midrule",
        *(f"{rules[i]}\n{line}" if i in rules else line for i, line in enumerate(lines)),
        r"\bottomrule",
        r"\end{tabular}",
    ]


def latex_standalone(table: Table) -> str:
    """A document of one page cut to the table, however wide its cells are, for any LaTeX engine."""
    notes = [rf"\par {escape(note)}" for note in table.notes]
    return "\n".join(
        [
            r"\documentclass[varwidth=200cm,border=5mm]{standalone}",
            r"\usepackage{booktabs}",
            r"\newsavebox{\grid}",
            r"\begin{document}",
            r"\begin{lrbox}{\grid}%",
            "\n".join(_tabular(table)) + "%",
            r"\end{lrbox}%",
            r"\begin{minipage}{\wd\grid}\raggedright\setlength{\parskip}{2pt}",
            r"\noindent\usebox{\grid}\par\medskip",
            escape(table.caption),
            r"\par\medskip\footnotesize",
            *notes,
            r"\end{minipage}",
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
    "†": r"$\dagger$",
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


_FORMULA = re.compile("'*[=+@\t\r-]")


def quoted(text: str) -> str:
    """The text, with an apostrophe in front if a spreadsheet would take it for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unquoted(text: str) -> str:
    """The text that `quoted` made this of."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def csv(frame: pd.DataFrame) -> str:
    """Every digit of every number, so that reading it back gives the same floats; NaN is empty.

    Texts are as `quoted` makes them.
    """
    texts = frame.select_dtypes(include=["object", "string"]).columns
    safe = frame.copy()
    for name in texts:
        safe[name] = [quoted(value) if isinstance(value, str) else value for value in frame[name]]
    return safe.to_csv(index=False, lineterminator="\n")
