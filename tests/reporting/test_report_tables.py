"""The words and digits of the table, in every format."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from dataclasses import replace

import pandas as pd
import pytest
from rich.console import Console

from mubench.reporting import formats, tables
from mubench.reporting.columns import Column, Columns, installed
from mubench.reporting.summary import summarise

GAPS = ("Avg. Gap (SVC)", "Rank", "Avg. Gap")


def built(cells, **kwargs):
    return tables.build(summarise(cells), caption=kwargs.pop("caption", "A table."), **kwargs)


def row(table, name):
    return dict(zip(table.header, next(r for r in table.rows if r[0].text == name), strict=True))


def parse(text):
    """The rows of a Markdown pipe table, unescaped."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [cells[0], *cells[2:]]


def test_cells_print_mean_spread_and_gap():
    assert tables.percent(4.51, 0.12, 0.89) == "4.51 ± 0.12 (0.89)"
    assert tables.percent(4.51, math.nan, 0.89) == "4.51 (0.89)"
    assert tables.percent(5.4, 0.3, math.nan) == "5.40 ± 0.30"


@pytest.mark.parametrize(
    ("mean", "std", "ratio", "text"),
    [
        (1.234, 0.02, 0.21, "1.23 s ± 0.02 (0.21×)"),
        (99.9, math.nan, 1.5, "99.90 s (1.50×)"),
        (100.0, 0.4, 0.5, "1:40 ± 0:00 (0.50×)"),
        (175.2, 4.0, 0.0674, "2:55 ± 0:04 (0.067×)"),
        (2597.0, math.nan, math.nan, "43:17"),
        (119.7, math.nan, math.nan, "2:00"),
        (0.0, 0.0, 0.0, "0.00 s ± 0.00 (0.00×)"),
        (0.01, math.nan, 0.0001, "0.01 s (<0.001×)"),
    ],
)
def test_times(mean, std, ratio, text):
    assert tables.seconds(mean, std, ratio) == text


def test_the_published_rows(published):
    table = built(published)
    assert table.header == ("Method", "UA", "RA", "TA", "MIA", "MIA-SVC", *GAPS, "RTE")
    texts = [[c.text for c in r] for r in table.rows]
    assert texts[0] == ["Retrain", "5.40", "100.00", "94.08", "12.88", "12.88", "0.00", "", "0.00", "43:17"]
    assert texts[1][1:9] == [
        "4.18 (1.22)",
        "99.13 (0.87)",
        "93.17 (0.91)",
        "18.69 (5.81)",
        "12.88 (0.00)",
        "0.75",
        "1-2",
        "2.20",
    ]
    assert texts[2][-1] == "2:55 (0.067×)"


def rows_of(make, seeds=5, **offsets):
    """Retrain, Original and methods whose UA is this far off, give or take 0.01 from seed to seed."""
    cells = []
    for seed in range(seeds):
        cells += [make("Retrain", "reference", seed, [20, 99, 90, 12, 12], changed=1)]
        cells += [make("Original", "baseline", seed, [20, 99, 90, 12, 12], changed=0)]
        for k, (name, off) in enumerate(offsets.items()):
            ua = 20 + off + 0.01 * ((seed + k) % 3 - 1)
            cells += [make(name, "method", seed, [ua, 99, 90, 12, 12], changed=1)]
    return pd.DataFrame(cells)


def test_the_best_group_is_bold_where_it_is_ranked(make):
    table = built(rows_of(make, far=8, near=-2, too=2.001, mid=4))
    ranks = {name: row(table, name)["Rank"].text for name in ("Retrain", "near", "too", "mid", "far")}
    assert ranks == {"Retrain": "", "near": "1-2", "too": "1-2", "mid": "3", "far": "4"}
    for name in ("near", "too"):
        assert {h for h, c in row(table, name).items() if c.bold} == {"Rank", "Avg. Gap (SVC)"}
    for name in ("Retrain", "Original", "mid", "far"):
        assert not any(c.bold for c in row(table, name).values())
    (line,) = [note for note in table.notes if note.startswith("Rank: by Avg. Gap (SVC)")]
    assert "Bold: no method is known to be closer to Retrain" in line
    assert line.endswith("Retrain, Original do not compete.")


@pytest.mark.parametrize("seeds", [1, 2])
def test_with_one_or_two_seeds_nothing_is_told_apart(make, seeds):
    table = built(rows_of(make, seeds, near=-2, far=8))
    assert [row(table, name)["Rank"].text for name in ("near", "far")] == ["1-2", "1-2"]
    assert not any(c.bold for line in table.rows for c in line)
    (line,) = [note for note in table.notes if "Rank" in note]
    assert f"with {seeds} seed" in line


def test_the_headline_decides_ranks_and_stands_first(make):
    columns = installed().only(["ua", "ra", "ta", "mia", "mia_svc"])
    cells = rows_of(make, a=2, b=3)
    cells.loc[cells["method"] == "a", "mia"] = 30.0
    sure, unsure = cells.assign(mia_se=0.1), cells.assign(mia_se=30.0)

    svc, threshold, blurred, unknown = (
        tables.build(summarise(of, replace(columns, attack=attack)), caption="c")
        for of, attack in ((sure, "mia_svc"), (sure, "mia"), (unsure, "mia"), (cells, "mia"))
    )

    assert svc.header[-4:] == ("Avg. Gap (SVC)", "Rank", "Avg. Gap", "RTE")
    assert threshold.header[-4:] == ("Avg. Gap", "Rank", "Avg. Gap (SVC)", "RTE")
    assert [row(svc, name)["Rank"].text for name in "ab"] == ["1", "2"]
    assert [row(threshold, name)["Rank"].text for name in "ab"] == ["2", "1"]
    # an attack that all seeds share, and whose error is large or not told, tells no row from another
    for table in (blurred, unknown):
        assert [row(table, name)["Rank"].text for name in "ab"] == ["1-2", "1-2"]


def test_a_failed_row_shows_its_reason_and_no_number(make):
    reason = "RuntimeError: out of memory\n" + "at 0x7f " * 60
    cells = pd.DataFrame(
        [
            make("Retrain", "reference", 0, [5, 99, 90, 12, 12]),
            make("Retrain", "reference", 1, [5, 99, 90, 12, 12]),
            make("GA", "method", 0, [4.25, 98, 89, 13, 13], rte=3.25),
            make("GA", "method", 1, [], status="FAILED", reason=reason),
            make("FT", "method", 0, [9, 90, 80, 20, 20]),
            make("FT", "method", 1, [9, 90, 80, 20, 20]),
            make("RL", "method", 0, [10, 90, 80, 20, 20]),
            make("RL", "method", 1, [10, 90, 80, 20, 20]),
        ]
    )
    table = built(cells)
    assert [c.text for c in row(table, "GA").values()] == ["GA", "FAILED", *[""] * 8]
    assert row(table, "FT")["Rank"].text == "1-2", "a failed row must not compete"
    (note,) = [n for n in table.notes if n.startswith("GA: FAILED. seed 1: RuntimeError: out of memory at")]
    assert len(note) == 160
    assert "\n" not in note
    for text in (formats.markdown(table), formats.latex(table), formats.csv(summarise(cells).numbers)):
        assert "4.25" not in text
        assert "3.25" not in text


def test_forgotten_classes_get_their_column(published):
    table = built(published.assign(fta=[0.0, 2.0, 5.0]))
    assert table.header[3:5] == ("TA", "Forgotten TA")
    assert row(table, "SalUn")["Forgotten TA"] == tables.TextCell("2.00 (2.00)")


def test_the_legend_names_floor_band_and_shared_time(make):
    cells = pd.DataFrame(
        [make("Retrain", "reference", s, [5, 99, 90, 12, 12]) for s in (0, 1)]
        + [make("Retrain (again)", "floor", s, [7, 99, 90, 12, 16]) for s in (0, 1)]
        + [make("FT", "method", s, [9, 90, 80, 20, 20], shared=s == 1, rte=4) for s in (0, 1)]
    )
    table = built(cells, notes=["2 cores"])
    floor = (
        "a second Retrain's Avg. Gap (SVC) is 1.50 (Avg. Gap 0.50); the band 1.50 (Avg. Gap 0.50) comes from "
        "these two alone, which cannot bound the floor"
    )
    assert sum(floor in note for note in table.notes) == 1
    assert row(table, "FT")["RTE"].text == "4.00 s ± 0.00 (0.40×)*"
    assert row(table, "Retrain")["RTE"].text == "10.00 s ± 0.00"
    assert sum(note.startswith("* slowed down by other work") for note in table.notes) == 1
    assert any("over 2 seeds" in note for note in table.notes)
    assert table.notes[-1] == "2 cores"


def test_three_retrains_bound_the_floor_and_their_mean_is_the_reference(make):
    cells = pd.DataFrame(
        [make("Retrain", "reference", s, [5 + s, 99, 90, 12, 12]) for s in (0, 1)]
        + [make("Retrain (again)", "floor", s, [8 + s, 99, 90, 12, 15]) for s in (0, 1)]
        + [make("Retrain (again 2)", "floor", s, [8 + s, 99, 90, 12, 12]) for s in (0, 1)]
        + [make("FT", "method", s, [11 + s, 99, 90, 12, 12]) for s in (0, 1)]
    )
    table = built(cells)
    # UA 5.5, 8.5, 8.5: FT's 11.5 is 4 from their mean
    assert row(table, "FT")["UA"].text == "11.50 ± 0.71 (4.00)"
    assert [row(table, name)["Avg. Gap"].text for name in ("FT", "Retrain")] == ["1.00", "0.75"]
    words = "\n".join(table.notes)
    assert "(absolute difference from the mean of 3 Retrains)" in words
    assert "each of the 3 Retrains has an Avg. Gap (SVC) of 0.75 to 1.12 (Avg. Gap 0.38 to 0.75)" in words
    assert f"would stay below {summarise(cells).bands['avg_gap_svc']:.2f} (Avg. Gap" in words


def test_the_legend_says_only_what_applies(published):
    words = "\n".join(built(published).notes)
    assert "one seed, so no spread is known" in words
    assert "±" not in words
    assert "floor" not in words
    assert "slowed down" not in words


def test_without_the_reference_nothing_is_bold(make):
    cells = pd.DataFrame(
        [
            make("Retrain", "reference", 0, [], status="FAILED", reason="boom"),
            make("FT", "method", 0, [9, 90, 80, 20, 20]),
        ]
    )
    table = built(cells)
    assert row(table, "FT")["UA"] == tables.TextCell("9.00")
    assert row(table, "FT")["Avg. Gap"] == tables.TextCell("n/a")
    assert any("no gaps are shown" in note for note in table.notes)
    assert not any("Bold" in note or "difference" in note for note in table.notes)


def test_markdown_parses_back_to_the_same_cells(sixteen):
    cells = sixteen()
    table = built(cells, caption="Ten | percent")
    text = formats.markdown(table)
    lines = parse(text)
    assert lines[0] == list(table.header)
    for line, want in zip(lines[1:], table.rows, strict=True):
        assert line == [f"**{c.text}**" if c.bold else c.text for c in want]
    numbers = summarise(cells).numbers
    for line in lines[1:]:
        if line[1] not in ("FAILED", "skipped"):
            mean, std = re.match(r"\**(\d+\.\d\d) ± (\d+\.\d\d)", line[1]).groups()
            assert float(mean) == pytest.approx(numbers.loc[line[0], "ua"], abs=0.00501)
            assert float(std) == pytest.approx(numbers.loc[line[0], "ua_std"], abs=0.00501)
    assert text.index("\nTen \\| percent\n") > text.rindex("| SISA")


def test_a_name_cannot_break_markdown(make):
    cells = pd.DataFrame([make("a|b*", "reference", 0, [5, 99, 90, 12, 12], shared=True)])
    lines = parse(formats.markdown(built(cells)))
    assert lines[1][0] == r"a\|b\*"
    assert lines[1][-1] == r"10.00 s\*"


def test_latex_escapes():
    assert formats.escape("50_a % & # $x {y}") == r"50\_a \% \& \# \$x \{y\}"
    assert formats.escape("4.51 ± 0.12 (0.21×)") == r"4.51 $\pm$ 0.12 (0.21$\times$)"
    assert formats.escape("a\\b~c^d<e") == r"a\textbackslash{}b\textasciitilde{}c\textasciicircum{}d$<$e"
    assert formats.escape("Müller, 漢") == "Müller, ?"


def has_standalone():
    """Whether a document of the class standalone can be compiled here."""
    if shutil.which("pdflatex") is None or shutil.which("kpsewhich") is None:
        return False
    return bool(subprocess.run(["kpsewhich", "standalone.cls"], capture_output=True, check=False).stdout)


def test_latex_is_a_tabular_of_the_same_cells(sixteen):
    table = built(sixteen())
    text = formats.latex(table)
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    assert lines[0].startswith(r"\resizebox{\ifdim\width>\linewidth")
    assert lines[1] == r"\begin{tabular}{@{}lrrrrrrrrr@{}}"
    assert lines[-2:] == [r"\end{tabular}%", "}"]
    code = "\n".join(lines)
    body = code[code.index(r"\midrule") : code.index(r"\bottomrule")].splitlines()[1:]
    for line, want in zip(body, table.rows, strict=True):
        plain = re.sub(r"\\textbf\{(.*?)\}", r"\1", line.removesuffix(r" \\"))
        plain = plain.replace(r"$\pm$", "±").replace(r"$\times$", "×").replace("$<$", "<")
        assert plain.split(" & ") == [c.text for c in want]
    assert code.count(r"\textbf") == sum(c.bold for r in table.rows for c in r) > 0


@pytest.mark.skipif(not has_standalone(), reason="pdflatex or its class standalone is not installed")
def test_latex_compiles_alone(tmp_path, make, sixteen):
    odd = make(r"50_a % & # $x {y} \z ~^<>|±≤→… é漢", "method", 0, [4, 98, 89, 13, 13])
    died = make("GA", "method", 0, [], status="FAILED", reason="KeyError: 'a_b' & \\n {50%} #1 ^~ $")
    whole = sixteen()
    cells = pd.concat([whole[whole["method"] != "GA"], pd.DataFrame([odd, died])], ignore_index=True)
    text = formats.latex_standalone(built(cells, caption="10 % of CIFAR_10 & more", notes=["#1: $5"]))
    (tmp_path / "table.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert "(1 page" in done.stdout


@pytest.mark.parametrize("width", [100, 120, 180])
def test_the_terminal_shows_every_digit_at_any_width(sixteen, width):
    cells = sixteen()
    console = Console(width=width, force_terminal=False)
    with console.capture() as captured:
        console.print(formats.terminal(built(cells, notes=["a note"])))
    text = captured.get()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    words = set(text.split())
    assert {"FAILED", "skipped", "literal", "A", "table.", "note"} <= words
    digits = [part for line in built(cells).rows for c in line[1:4] for part in c.text.split()]
    assert set(digits) - {"±"} <= words | {word.lstrip("±") for word in words}


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_a_narrow_terminal_gets_its_columns_in_turn_and_no_number_cut(sixteen, width):
    table = built(sixteen())
    console = Console(width=width, force_terminal=False)
    with console.capture() as captured:
        console.print(formats.terminal(table))
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= width
    for line in table.rows:
        for cell in line[1:]:
            assert any(cell.text.replace("± ", "±") in printed for printed in lines), cell
    names = [line.strip() for line in lines if line.startswith((" WSS-CL literal", "WSS-CL literal"))]
    assert len(names) == sum("Method" in line for line in lines) > 1


def test_a_name_is_no_markup_link_formula_or_escape_sequence(make):
    odd = "=1+1 [b]x[/c] [l](http://a) ![i](b) <b> \x1b[2J\x00"
    cells = pd.DataFrame(
        [make("Retrain", "reference", 0, [5, 99, 90, 12, 12]), make(odd, "method", 0, [4, 99, 90, 12, 12])]
    )
    table = built(cells, caption=odd, notes=[odd, "\ud800"])
    shown = "=1+1 [b]x[/c] [l](http://a) ![i](b) <b> \\x1b[2J\\x00"
    assert table.rows[1][0].text == table.caption == shown
    assert table.notes[-1] == "\\ud800"
    console = Console(width=200, force_terminal=False)
    with console.capture() as captured:
        console.print(formats.terminal(table))
    assert captured.get().count(shown) == 3
    assert r"[l\](http://a) ![i\](b) \<b>" in formats.markdown(table)
    for text in (formats.markdown(table), formats.latex(table), formats.latex_standalone(table)):
        assert not {"\x1b", "\x00", "\ud800"} & set(text)
    frame = pd.DataFrame({"reason": ["=1", "'=1", "-", "@a", "+a", "a", "'a"], "number": [-1.5] * 7})
    texts = [line.split(",") for line in formats.csv(frame).splitlines()[1:]]
    assert [text for text, _ in texts] == ["'=1", "''=1", "'-", "'@a", "'+a", "a", "'a"]
    assert {number for _, number in texts} == {"-1.5"}
    assert [formats.unquoted(text) for text, _ in texts] == frame["reason"].tolist()


def test_a_metric_gets_the_column_that_it_declares(make):
    cells = pd.DataFrame(
        [
            make("Retrain", "reference", 0, [5, 99, 90, 12, 12], tow=100.0, cost=5.0),
            make("a", "method", 0, [4, 99, 90, 12, 12], tow=97.0, cost=1.0),
        ]
    )
    more = (Column("tow", "ToW", "higher", "", 45), Column("cost", "Cost", "lower", "", 5))
    summary = summarise(cells, Columns.ordered((*installed().only(["ua", "ra", "ta", "mia"]).metrics, *more)))
    table = tables.build(summary, caption="c")
    assert table.header == ("Method", "Cost", "UA", "RA", "TA", "ToW", "MIA", "Avg. Gap", "RTE")
    assert (row(table, "a")["ToW"].text, row(table, "a")["Cost"].text) == ("97.00", "1.00")


def test_a_row_that_changed_nothing_says_so_and_does_not_compete(make):
    cells = rows_of(make, idle=0, a=2, b=6)
    cells.loc[cells["method"] == "idle", "changed"] = 0
    table = built(cells)
    assert next(n for n in table.notes if "changed no weight" in n).startswith("idle: ")
    assert sum("changed no weight" in note for note in table.notes) == 1
    assert [row(table, name)["Rank"].text for name in ("idle", "a", "b")] == ["", "1", "2"]
    assert not any(c.bold for c in row(table, "idle").values())
    assert any("Retrain, Original, idle do not compete" in note for note in table.notes)


def test_one_row_alone_wins_nothing(published):
    table = built(published[published["method"] != "SalUn"])
    assert not any(c.bold for line in table.rows for c in line)
    assert not any("Bold" in note for note in table.notes)


def test_the_legend_says_what_merging_costs(published):
    assert not any("merged" in note for note in built(published).notes)
    assert any("off by up to 0.04" in note for note in built(published.assign(mia_svc_merged=1.0)).notes)
