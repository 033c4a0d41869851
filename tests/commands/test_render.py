"""`mubench render`: numbers and pictures that exist are never lost, with or without the records."""

import json
import shutil

import pandas as pd
import pytest
from renderings import SUITE, content, invoke

MINE = """
from mubench import metric

@method("Mine", sees="forget")
def mine(model, task, *, lr: float = 0.1):
    task.log(steps=3, way="up", trace=[1, 2])

@metric("likes", title="Likes", better="higher", column=100)
def likes(outputs):
    "The share of forget images that have the label 0."
    return 100 * float((outputs.labels["forget"] == 0).mean())
"""


def pictures(folder):
    return {p.name: p.read_bytes() for p in (folder / "plots").iterdir() if p.name != ".digest"}


def cells(folder):
    return pd.read_csv(folder / "cells.csv").set_index(["method", "seed"])


def test_a_copied_folder_renders_to_the_same_bytes_without_any_record(ran, home):
    out = ran()
    copy = shutil.copytree(out, home / "copy")
    shutil.rmtree(copy / "plots")
    before = content(out)

    code, output = invoke("render", copy, "--store", home / "empty")

    assert code == 0, output
    assert content(copy) == before
    assert pictures(copy) == pictures(out)
    assert {"confidence.svg", "avg_gap.png"} <= set(pictures(copy))


def test_a_suite_renders_from_its_folder_where_the_records_are_gone(ran, home):
    out = ran()
    before = content(out)
    shutil.rmtree(home / "store")

    code, output = invoke("render", home / "tiny.toml", "--out", out)

    assert code == 0, output
    assert content(out) == before


def everything(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_a_reader_makes_of_published_results_goes_where_git_does_not_look(ran, home, monkeypatch):
    ran("--publish", out=None)
    published = home / "results" / "published" / "tiny"
    # as if an older version of the program had drawn and written it
    memo = published / "plots" / ".digest"
    memo.write_text(json.dumps({**json.loads(memo.read_text()), "digest": "old"}), encoding="utf-8")
    before = everything(home / "results")
    (home / "elsewhere").mkdir()
    monkeypatch.chdir(home / "elsewhere")

    code, output = invoke("render", published, "--store", home / "empty")
    report, _ = invoke("report", published, "--store", home / "empty")

    assert (code, report) == (0, 0)
    rendered = home / "results" / "rendered" / "tiny"
    assert f"written to {rendered}/" in output
    assert (rendered / "table.md").read_bytes() == (published / "table.md").read_bytes()
    assert {"report.html", "plots"} <= {path.name for path in rendered.iterdir()}
    after = everything(home / "results")
    assert {path: data for path, data in after.items() if rendered not in path.parents} == before
    # where the user says so it is written in place
    assert invoke("render", published, "--out", published, "--store", home / "empty")[0] == 0
    assert memo.read_bytes() != before[memo]


def test_with_half_of_a_rows_records_its_numbers_stay(ran, home):
    out = ran()
    before = content(out, ("table.md", "cells.csv"))
    manifest = json.loads((out / "manifest.json").read_text())
    key = next(row["keys"]["1"] for row in manifest["rows"] if row["name"] == "FT")
    shutil.rmtree(home / "store" / "records" / key[:2] / key)

    assert invoke("render", out)[0] == 0
    assert content(out, before) == before


def test_pictures_stay_where_there_is_nothing_to_draw_them_from(ran, home):
    out = ran()
    before = pictures(out)
    (out / "histograms.json").unlink()
    (out / "plots" / ".digest").write_text(
        json.dumps({"digest": "of another time", "files": list(before)}), encoding="utf-8"
    )

    assert invoke("render", out, "--store", home / "empty")[0] == 0
    assert pictures(out) == before


def test_with_neither_records_nor_numbers_nothing_is_rendered(ran, home):
    out = ran()
    (out / "cells.csv").unlink()
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}

    for words in (("render", out), ("render", home / "tiny.toml")):
        code, output = invoke(*words, "--store", home / "empty")
        assert code == 2
        assert output.splitlines() == [output.strip()]
        assert "nothing to render" in output
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before


def test_where_the_records_are_there_the_numbers_are_computed_anew(ran):
    out = ran()
    before = content(out, ("cells.csv",))
    frame = pd.read_csv(out / "cells.csv", dtype=str)
    frame.assign(ta="1.0").to_csv(out / "cells.csv", index=False)

    assert invoke("render", out)[0] == 0
    assert content(out, ("cells.csv",)) == before


def test_a_plugin_gets_its_column_its_notes_and_no_praise_for_doing_nothing(ran, plugin_file, home):
    out = ran("--plugin", plugin_file(MINE), "--set", "methods.GA.lr=0.001")

    table = (out / "table.md").read_text(encoding="utf-8")
    assert table.splitlines()[0].count("Likes") == 1
    assert "Hyper-parameters: by hand. Not tuned: GA (--set), Mine." in table
    assert "Changed by the command: methods.GA.lr=0.001." in table
    found = cells(out)
    assert found.loc["Mine", "note_steps"].tolist() == [3, 3]
    assert found.loc["Mine", "note_way"].tolist() == ["up", "up"]
    assert "note_trace" not in found
    # without the plugin the column and its numbers stay
    assert invoke("render", out, "--store", home / "empty")[0] == 0
    assert (out / "table.md").read_text(encoding="utf-8") == table


def test_another_headline_is_rendered_without_training(ran, suite_file):
    out = ran()
    before = cells(out)

    code, output = invoke("render", suite_file(SUITE + 'headline = "mia"'), "--out", out)

    assert code == 0, output
    titles = [t.strip() for t in (out / "table.md").read_text(encoding="utf-8").splitlines()[0].split("|")]
    assert titles[-6:] == ["MIA-SVC", "Avg. Gap", "Rank", "Avg. Gap (SVC)", "RTE", ""]
    assert json.loads((out / "manifest.json").read_text())["headline"] == "mia"
    pd.testing.assert_frame_equal(cells(out)[before.columns], before)


def test_a_metric_that_raises_fails_its_rows_and_not_the_table(ran, home, plugin_file):
    out = ran()
    picky = """
    from mubench import metric

    @metric("picky", title="Picky", better="higher")
    def picky(outputs):
        "Always fails."
        raise LookupError("unsure")
    """

    code, output = invoke("render", home / "tiny.toml", "--plugin", plugin_file(picky), "--out", "other")

    assert code == 1
    table = pd.read_csv(home / "other" / "cells.csv")
    assert (table["status"] == "FAILED").all()
    assert table["reason"].str.startswith("ValueError: metric 'picky': LookupError: unsure").all()
    # numbers that an earlier rendering has do not go
    code, output = invoke("render", home / "tiny.toml", "--plugin", plugin_file(picky), "--out", out)
    assert code == 0, output
    assert cells(out)["ua"].notna().all()


def test_columns_and_style_change_the_table_and_are_recorded_nowhere(ran):
    out = ran()
    before = content(out)

    code, output = invoke("render", out, "--columns", "TA, UA,Avg. Gap (SVC)", "--style", "compact")

    assert code == 0, output
    header = (out / "table.md").read_text(encoding="utf-8").splitlines()[0]
    assert [title.strip() for title in header.split("|")[2:-1]] == ["TA", "UA", "Avg. Gap (SVC)"]
    assert (
        "±" not in (out / "table.tex").read_text(encoding="utf-8").replace(r"$\pm$", "±").split("tabular")[1]
    )
    assert content(out, ("manifest.json", "cells.csv", "table.csv")).items() <= before.items()
    assert invoke("render", out)[0] == 0
    assert content(out) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--columns", "UA,Avg Gap SVC"), "unknown column 'Avg Gap SVC'. Did you mean 'Avg. Gap (SVC)'?"),
        (("--columns", " , "), "--columns names no column"),
        (("--style", "paper"), "'paper' is not one of 'full', 'compact'"),
    ],
)
def test_a_wrong_look_is_one_line_and_nothing_is_written(ran, words, message):
    out = ran()
    before = content(out)
    code, output = invoke("render", out, *words)

    assert code == 2
    assert message in output
    assert len(output.splitlines()) == 1
    assert content(out) == before
