"""`mubench diff`: a made-up folder of results beside published tables, with differences known by hand."""

import json

import pandas as pd
import pytest

from mubench.paper.published import ROWS

NUMBERS = {"Retrain": (6.0, 100.0, 94.0, 13.0), "SalUn": (5.0, 99.0, 93.0, 19.0), "Mine": (1, 1, 1, 1)}
# ddof = 1: over two seeds sd is sqrt(2), so the standard error is 1; over one there is none
SEEDS = {2: (-1.0, 1.0), 1: (0.0,)}
SPLIT = {"train": {"count": 900}}


def lines_of(seeds, label="", shift=0.0):
    """The cells and rows of one table: one point up and down from seed to seed, RA alone fixed."""
    cells, rows = [], []
    for i, (name, (ua, ra, ta, mia)) in enumerate(NUMBERS.items()):
        role = "reference" if name == "Retrain" else "method"
        keys = {str(seed): f"{i}{seed}{label.encode().hex()}".ljust(64, "0") for seed in range(seeds)}
        rows.append({"name": name, "role": role, "keys": keys})
        for seed, off in enumerate(SEEDS[seeds]):
            numbers = {"ua": ua + off + shift, "ra": ra, "ta": ta + off, "mia": 50.0, "mia_svc": mia + off}
            about = {"method": name, "role": role, "seed": seed, "status": "ok", "reason": ""}
            time = {"rte": 100.0 if name == "Retrain" else 10.0, "rte_shared": False}
            cells.append(about | numbers | time | {"key": keys[str(seed)]})
    return cells, rows


def folder(path, seeds=2, classes=(), **facts):
    """A folder of results; with classes, UA one point higher from class to class."""
    path.mkdir(parents=True)
    tables = {label: lines_of(seeds, label, k) for k, label in enumerate(classes)} or {"": lines_of(seeds)}
    pd.DataFrame([c for cells, _ in tables.values() for c in cells]).to_csv(path / "cells.csv", index=False)
    resolved = {
        "model": "resnet8",
        "dataset": "cifar10",
        "forget": {"scenario": "random", "percent": 10},
        "original": {"epochs": 100},
        "seeds": list(range(seeds)),
        "split": "clean",
    } | facts
    blocks = {label: rows for label, (_, rows) in tables.items()}
    manifest = {"title": "made up", "rows": blocks.pop("", []), "classes": blocks, "resolved": resolved}
    manifest |= {"splits": {label: {"0": SPLIT} for label in classes} or {"0": SPLIT}}
    manifest |= {"overrides": {"profile": "small"}}
    (path / "manifest.json").write_text(json.dumps(manifest))
    return path


@pytest.fixture
def diff(call, home):
    """`diff(*words)`: (exit code, stdout, stderr) of the suite of table 1 beside the folder `out`."""
    return lambda *words, suite="cifar10-random-10": call("diff", "--suite", suite, "--out", "out", *words)


def found(said):
    facts = json.loads(said)
    return {(c["source"].split()[0], c["table"], c["method"], c["metric"]): c for c in facts["cells"]}, facts


def test_each_cell_beside_its_own(home, diff):
    folder(home / "out")
    code, said, error = diff("--json")
    assert code == 0, error
    cells, _ = found(said)

    ua = cells["Tran", "1", "SalUn", "UA"]
    assert (ua["printed"], ua["own"], ua["seeds"]) == (4.18, 5.0, 2)
    assert ua["difference"] == pytest.approx(0.82)
    assert ua["own_sd"] == pytest.approx(2**0.5)
    assert ua["errors"] == pytest.approx(0.82)  # the standard error is 1
    assert cells["Tran", "1", "SalUn", "RA"]["errors"] is None  # the seeds do not differ
    # our SVC and not the threshold's 50, beside the print's MIA
    assert cells["Tran", "1", "SalUn", "MIA-SVC"]["difference"] == pytest.approx(19 - 18.69)
    assert cells["Tran", "1", "SalUn", "Avg. Gap (SVC)"]["own"] == pytest.approx((1 + 1 + 1 + 6) / 4)
    # 2:40 of 43:17, beside our 10 s of 100 s
    assert cells["Tran", "1", "SalUn", "RTE / Retrain"]["printed"] == pytest.approx(100 * 160 / 2597)
    assert cells["Tran", "1", "SalUn", "RTE / Retrain"]["own"] == pytest.approx(10)
    assert cells["Fan", "Table 1", "SalUn", "UA"]["printed_sd"] == 0.43
    assert not any(key[2] in ("Mine", "WSS-CL") for key in cells)


def test_only_the_svc_stands_beside_the_svc(home, diff):
    folder(home / "out")
    cells, facts = found(diff("--json")[1])
    metrics = {key[:2]: {k[3] for k in cells if k[:2] == key[:2]} for key in cells}

    four = {"UA", "RA", "TA", "MIA-SVC", "Avg. Gap (SVC)"}
    assert metrics["Ebrahimpour-Boroojeny", "Table 10"] == four
    assert (
        metrics["Ebrahimpour-Boroojeny", "Table 1"] == metrics["Spartalis", "notebook"] == {"UA", "RA", "TA"}
    )
    assert metrics["Kim", ""] == {"Avg. Gap (SVC)"}
    notes = next(lines for table, lines in facts["notes"].items() if "LoTUS" in table)
    assert any("another kind, not compared: logistic regression on entropy" in line for line in notes)
    assert any("share not stated" in line for line in notes)


def test_every_class_in_turn_and_their_mean(home, diff):
    folder(home / "out", classes=("bird", "cat"), forget={"scenario": "class", "class": "all"})
    code, said, error = diff("--json", suite="cifar10-class")
    assert code == 0, error
    cells = {
        (c["source"].split()[0], c["scenario"], c["method"], c["metric"]): c
        for c in json.loads(said)["cells"]
    }

    assert cells["Tran", "class-bird", "SalUn", "UA"]["own"] == 5.0
    assert cells["Tran", "class-cat", "SalUn", "UA"]["own"] == 6.0
    assert cells["Jia", "class", "Retrain", "UA"]["own"] == 6.5
    assert {scenario for _, scenario, _, _ in cells} == {"class", "class-bird", "class-cat"}
    assert not any(metric == "MIA-SVC" for source, *_, metric in cells if source == "Tran")


def test_a_class_by_its_number(home, diff):
    folder(home / "out", forget={"scenario": "class", "class": 2})
    code, said, error = diff("--set", "forget.class=2", "--json", suite="cifar10-class")
    assert code == 0, error

    assert {c["scenario"] for c in json.loads(said)["cells"]} == {"class-bird"}


def test_with_one_seed_there_is_no_standard_error(home, diff):
    folder(home / "out", seeds=1)
    cells, _ = found(diff("--json")[1])

    assert {cell["errors"] for cell in cells.values()} == {None}
    assert " n/a " in diff()[1]


def test_what_differs_in_protocol(home, diff):
    folder(home / "out")
    _, facts = found(diff("--json")[1])
    of_salun = {
        p["what"]: (p["own"], p["printed"]) for p in facts["protocol"] if "SalUn, ICLR" in p["source"]
    }
    of_lotus = {p["what"]: p["printed"] for p in facts["protocol"] if "LoTUS" in p["source"]}

    assert of_salun == {
        "model": ("resnet8", "ResNet-18"),
        "training images": ("900", "45,000"),
        "epochs": ("100", "182"),
        "seeds": ("2", "10"),
        "split": ("clean", "salun-legacy"),
        "profile": ("small", "none"),
    }
    assert of_lotus["forget set"] == "random 10% per class"
    assert of_lotus["split"] == "not stated"


def test_what_agrees_in_protocol_is_not_listed(home, diff):
    folder(home / "out", model="resnet18", split="salun-legacy", original={"epochs": 182})
    _, facts = found(diff("--json")[1])
    of_wss_cl = {p["what"] for p in facts["protocol"] if "WSS-CL" in p["source"]}

    assert of_wss_cl == {"training images", "seeds", "profile"}


def test_for_people(home, diff):
    folder(home / "out")
    code, said, _ = diff()
    lines = [" ".join(line.replace("│", " ").split()) for line in said.splitlines()]

    assert code == 0
    assert "SalUn UA 4.18 5.00 ± 1.41 +0.82 +0.8" in lines
    assert "MIA-SVC 18.69 19.00 ± 1.41 +0.31 +0.3" in lines
    assert "- 10 trials; made before the mask fix of 2026-02-28" in lines
    facts = "model resnet8 / ResNet-18; training images 900 / 45,000; epochs 100 / 182; seeds 2 / 10"
    assert any(line.startswith(f"- Protocol, own / printed: {facts};") for line in lines)
    assert any(line.startswith("- Only printed: FT, RL, GA") for line in lines)


def test_a_further_papers_table(home, diff):
    folder(home / "out")
    values = [
        "Doe (New)",
        "2",
        "CIFAR-10",
        "ResNet-18",
        "random 10%",
        "mine",
        "3±1",
        "",
        "",
        "9",
        "SVC",
        "",
        "",
        "",
    ]
    (home / "new.csv").write_text(",".join(ROWS) + "\n" + ",".join(values), encoding="utf-8")
    cells, _ = found(diff("--tables", "new.csv", "--json")[1])

    assert cells["Doe", "2", "Mine".lower(), "UA"]["difference"] == -2
    assert cells["Doe", "2", "mine", "MIA-SVC"]["printed"] == 9


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--set", "forget.percent=20"), "no published table holds cifar10, random-20"),
        (("--set", "paper='wss-cl:9'"), "unknown published table 'wss-cl:9'"),
        (("--tables", "none.csv"), "none.csv: there is no such file"),
        (("--set", "forget.percent=50", "--set", "paper='wss-cl:2'"), "manifest.json: forget is "),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_2(home, diff, words, message):
    folder(home / "out")
    code, said, error = diff(*words)

    assert (code, said) == (2, "")
    assert message in error
    assert len(error.splitlines()) == 1


def test_digits_stand_in_no_published_table(diff):
    code, said, error = diff(suite="digits-random-50")

    assert (code, said, len(error.splitlines())) == (2, "", 1)
    assert "no published table holds digits, random-50" in error


def test_without_any_own_number(home, diff):
    folder(home / "out")
    (home / "out" / "cells.csv").unlink()
    code, said, error = diff()

    assert (code, said, len(error.splitlines())) == (2, "", 1)
    assert "`mubench run` makes them" in error
