"""`mubench show record`: what the store says of a cell, found by the first digits of its key."""

import json

import pytest

PLUGIN = """
@method("Logs", sees="forget", cite="N")
def logs(model, task, *, lr: float = 0.25):
    for x, y in task.forget:
        model(x)
    task.log(hit=0.5)

@method("Fails", cite="N")
def fails(model, task):
    print("last words")
    raise ValueError("no\\x1b luck")
"""


@pytest.fixture
def keys(run, home, plugin_file):
    """Row -> the key of its cell, after a run."""
    run("--plugin", plugin_file(PLUGIN), "--out", "out")
    manifest = json.loads((home / "out" / "manifest.json").read_text())
    return {row["name"]: row["keys"]["0"] for row in manifest["rows"]}


def test_a_record_says_how_it_was_made(call, keys):
    code, out, _ = call("show", "record", keys["Logs"][:12])
    lines = dict(line.split(":", 1) for line in out.splitlines())

    assert code == 0
    said = {name: text.strip() for name, text in lines.items()}
    assert (said["key"], said["status"], said["method"], said["seed"]) == (keys["Logs"], "ok", "Logs", "0")
    assert (said["parameters"], said["logged"]) == ("lr = 0.25", "hit = 0.5")
    assert "torch = " in said["environment"]
    assert said["samples"].startswith("22 forward, 0 backward; read 22 from forget")
    record = json.loads(call("show", "record", keys["Logs"], "--json")[1])
    assert (record["key"], record["notes"], record["parameters"]) == (
        keys["Logs"],
        {"hit": 0.5},
        {"lr": 0.25},
    )


def test_a_failed_cell_shows_its_reason_and_the_end_of_its_log(call, keys):
    code, out, _ = call("show", "record", keys["Fails"][:12])

    assert code == 0
    assert "\x1b" not in out
    assert r"status:      FAILED: ValueError: no\x1b luck (mine.py" in out
    assert f"{keys['Fails']}.log" in out
    assert "  ValueError: no" in out.splitlines()[-1]


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ("12345", "give 6 to 64 hex digits of a key"),
        ("../../../x", "give 6 to 64 hex digits of a key"),
        ("ABCDEF", "give 6 to 64 hex digits of a key"),
        ("000000", "no record in "),
    ],
)
def test_a_prefix_of_nothing_is_one_line(call, prefix, message):
    code, out, err = call("show", "record", prefix)

    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert message in err


def test_a_prefix_of_two_is_ambiguous(call, home):
    for end in "12":
        (home / "store" / "records" / "ab" / f"abcdef{end * 58}").mkdir(parents=True)

    code, _, err = call("show", "record", "abcdef")

    assert code == 2
    assert "2 records in " in err
    assert call("show", "record", "abcdef1")[2].count("cannot be read") == 1
