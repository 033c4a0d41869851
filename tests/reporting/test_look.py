"""A table's columns chosen, in the paper's own form, and how it fits an article."""

from __future__ import annotations

import re
import shutil
import subprocess

import pandas as pd
import pytest

from mubench.errors import UsageError
from mubench.reporting import formats
from mubench.reporting.render import make_report
from mubench.reporting.tables import Look

PAPER = Look(("UA", "RA", "TA", "MIA-SVC", "Avg. Gap (SVC)"), compact=True)


def table(cells, look=None):
    return make_report(cells, caption="Caption.", look=look).table


def line(built, name):
    return next([cell.text for cell in row[1:]] for row in built.rows if row[0].text == name)


def test_columns_by_title_or_name_in_the_order_given(published):
    built = table(published, Look(("avg. gap (svc)", "TA", "mia_svc", "rte")))

    assert built.header == ("Method", "Avg. Gap (SVC)", "TA", "MIA-SVC", "RTE")
    whole = dict(zip(table(published).header[1:], line(table(published), "SalUn"), strict=True))
    assert line(built, "SalUn") == [whole[title] for title in built.header[1:]]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("UA", "MIASVC"), "unknown column 'MIASVC'. Did you mean 'MIA-SVC'?"),
        (("UA", "ua"), "the column 'UA' is named twice"),
    ],
)
def test_a_wrong_column_is_named(published, names, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        table(published, Look(names))


def test_compact_is_the_papers_own_form(make):
    rows = [
        ("Retrain", "reference", [5.4, 100, 94.08, 1, 12.88]),
        ("SalUn", "method", [4.51, 99.0, 93, 1, 13]),
    ]
    cells = [
        make(n, r, s, [v + off for v in values]) for n, r, values in rows for s, off in ((0, -1), (1, 1))
    ]

    full, compact = (table(pd.DataFrame(cells), Look(("UA", "RTE"), compact)) for compact in (False, True))

    assert line(full, "SalUn") == ["4.51 ± 1.41 (0.89)", "10.00 s ± 0.00 (1.00×)"]
    assert line(compact, "SalUn") == ["4.51 (0.89)", "10.00 s"]
    assert line(compact, "Retrain") == ["5.40", "10.00 s"]
    assert any("± standard deviation" in note for note in full.notes)
    assert not any("±" in note or "as a share" in note for note in compact.notes)


def test_the_lines_below_tell_of_the_columns_that_stand_above(published):
    notes = " ".join(table(published, PAPER).notes)

    assert "Avg. Gap (SVC): mean of the absolute differences" in notes
    assert "RTE" not in notes
    assert "Avg. Gap:" not in notes


def test_rank_and_bold_do_not_hang_on_the_other_columns(sixteen):
    whole, few = table(sixteen()), table(sixteen(), Look(("TA", "rank")))
    place = whole.header.index("Rank")

    assert [row[place] for row in whole.rows] == [row[2] for row in few.rows]
    assert any(row[2].bold for row in few.rows)
    assert any(note.startswith("Rank: by Avg. Gap (SVC)") for note in few.notes)
    without = table(sixteen(), Look(("TA",)))
    assert not any(cell.bold for row in without.rows for cell in row)
    assert not any("Rank" in note for note in without.notes)


ARTICLE = r"""\documentclass[%s]{article}
\usepackage{booktabs,graphicx}
\begin{document}
\begin{%s}\footnotesize
\input{table.tex}
\caption{c}\end{%s}
\end{document}
"""


def compile_(folder, name):
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", name]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    return (folder / name).with_suffix(".log").read_text(errors="replace")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize(
    ("columns", "place"), [("", "table"), ("twocolumn", "table"), ("twocolumn", "table*")]
)
@pytest.mark.parametrize("look", [Look(), PAPER], ids=["full", "compact"])
def test_no_line_of_an_article_is_overfull(tmp_path, sixteen, look, columns, place):
    text = formats.latex(table(sixteen(), look))
    (tmp_path / "table.tex").write_text(text, encoding="utf-8")
    (tmp_path / "article.tex").write_text(ARTICLE % (columns, place, place))
    assert "Overfull" not in compile_(tmp_path, "article.tex")

    # without the box that shrinks it, eight columns of a full table do run off: the check can fail
    if look == Look():
        start, end = text.index(r"\begin{tabular}"), text.index("%\n}\n")
        (tmp_path / "table.tex").write_text(text[start:end] + "\n", encoding="utf-8")
        assert "Overfull" in compile_(tmp_path, "article.tex")
