"""`mubench render`: numbers and pictures that exist are never lost, with or without the records."""

import json
import shutil

import pandas as pd
import pytest
from click.testing import CliRunner

from mubench.cli import main

SUITE = """
seeds = [0, 1]
methods = { Retrain = {}, FT = { epochs = 1 }, GA = { epochs = 1 } }
tuning = "by hand."
"""
FILES = ("table.md", "table.tex", "table-standalone.tex", "table.csv", "cells.csv", "manifest.json")
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


def invoke(*words):
    result = CliRunner().invoke(main, list(map(str, words)), catch_exceptions=False)
    return result.exit_code, result.output


@pytest.fixture
def ran(home, made_up, suite_file):
    """`ran(*options)`: the tiny suite run in this process; its folder of results."""

    def run(*options, change=SUITE, out="out"):
        words = ("run", "--suite", suite_file(change), "--out", out, "--jobs", 0, "--device", "cpu", *options)
        code, output = invoke(*words)
        assert code == 0, output
        return home / out

    return run


def content(folder, names=FILES):
    return {name: (folder / name).read_bytes() for name in names}


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


def edited(**changes):
    return lambda manifest: {**manifest, **changes}


def row(**changes):
    """The last row with these changes."""
    return lambda manifest: {**manifest, "rows": [*manifest["rows"][:-1], manifest["rows"][-1] | changes]}


def nested(depth):
    return "[" * depth + "]" * depth


WRONG = {
    "no rows": (edited(rows=[]), "either rows or classes"),
    "no reference": (
        lambda m: {**m, "rows": m["rows"][1:]},
        "exactly one row with the role 'reference', not []",
    ),
    "two references": (row(role="reference"), "not ['Retrain', 'GA']"),
    "two rows of a name": (row(name="FT"), "two rows are called 'FT'"),
    "a name that differs in blanks": (row(name=" FT\n"), "two rows are called 'FT'"),
    "rows of a wrong type": (edited(rows={}), "rows: Input should be a valid "),
    "keys of a wrong type": (row(keys=[1]), "keys: Input should be "),
    "a key that is a path": (row(keys={"0": "/etc"}), "keys.0: String should match pattern"),
    "an empty key": (row(keys={"0": ""}), "keys.0: String should match pattern"),
    "a huge seed": (row(keys={str(2**64): "0" * 64}), "Input should be less than 9223372036854775808"),
    "a seed that is none": (row(keys={"1e30": "0" * 64}), "keys.1e30"),
    "neither keys nor status": (row(keys={}), "a row has either keys or a status"),
    "classes of a wrong type": (edited(classes=[]), "classes: Input should be "),
    "metrics of a wrong type": (edited(metrics=["mia"]), "metrics: Input should be "),
    "an unknown metric": (
        edited(metrics={"mai": {}}),
        "[metrics]: unknown metric 'mai'. Did you mean 'mia'?",
    ),
    "an unknown option": (edited(metrics={"mia": {"pol": True}}), "'pol'"),
    "no title": (edited(title=None), "title: Input should be a valid string"),
    "a number as title": (edited(title=5), "title: Input should be a valid string"),
    "a role of its own": (row(role="star"), "role: Input should be 'reference'"),
}


@pytest.fixture
def spoilt(ran, no_pictures):
    """`spoilt(text)`: render a folder with this manifest; (exit code, output)."""
    out = ran()
    manifest = json.loads((out / "manifest.json").read_text())

    def render(change):
        text = change if isinstance(change, str) else json.dumps(change(manifest))
        (out / "manifest.json").write_text(text, encoding="utf-8")
        return invoke("render", out)

    return render


def test_a_wrong_manifest_is_refused_in_a_line(spoilt):
    for name, (change, message) in WRONG.items():
        code, output = spoilt(change)
        assert code == 2, name
        assert message in output, (name, output)
        assert len(output.splitlines()) == 1, name
        assert len(output) < 500, name
    for text in (
        "",
        "[]",
        "null",
        "{",
        nested(100_000),
        '{"title": "\\ud800"}',
        '{"title": 1e999}',
    ):
        code, output = spoilt(text)
        assert code == 2, text[:20]
        assert "not a manifest of mubench" in output
        assert len(output.splitlines()) == 1


def test_the_key_of_an_original_is_no_rows(spoilt, home):
    for record in (home / "store" / "records").glob("*/*/record.json"):
        about = json.loads(record.read_text())
        if about["method"] is None and about["seed"] == 0:
            code, output = spoilt(row(keys={"0": about["key"]}))
            assert (code, "GA, seed 0: its key is that of an original model" in output) == (2, True)
            return
    pytest.fail("no original in the store")


def test_nothing_that_steers_a_terminal_passes(spoilt):
    name, title = "G\x1b[2JA\x00\x9b", "\x1b]0;owned\x07\u202etiny [link](http://x) ![i](y) <b>"

    code, output = spoilt(lambda manifest: {**row(name=name)(manifest), "title": title})

    assert code == 0
    assert "G\\x1b[2JA\\x00\\x9b" in output
    assert not set(output) & set("\x1b\x07\x00\x9b\u202e")


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "status,key\nok\n", "\x00"])
def test_a_spoilt_cells_csv_is_refused_in_a_line(ran, home, no_pictures, text):
    out = ran()
    (out / "cells.csv").write_text(text, encoding="utf-8")

    code, output = invoke("render", out, "--store", home / "empty")

    assert code == 2
    assert len(output.splitlines()) == 1


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
