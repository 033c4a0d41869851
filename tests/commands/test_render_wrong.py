"""`mubench render` of what is wrong: a manifest or cells.csv that was edited is refused in one line."""

import json

import pytest
from renderings import invoke


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
