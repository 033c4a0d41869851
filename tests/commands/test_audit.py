"""`mubench audit`: the paper's tables checked from the command line."""

import json
import subprocess
import sys
import time

import pytest

HEADER = "table,dataset,scenario,method,metric,printed,printed_gap"
FIELDS = ["table", "method", "metric", "kind", "printed", "recomputed"]
TABLE = f"""{HEADER}
1,d,s,Retrain,UA,5.00,
1,d,s,M,UA,4.00,1.50
"""


@pytest.fixture
def file(home):
    def write(text):
        (home / "printed.csv").write_text(text, encoding="utf-8")
        return "printed.csv"

    return write


def test_what_does_not_follow_in_the_papers_tables(call):
    code, said, _ = call("audit", "--json")
    found = json.loads(said)

    assert code == 0
    assert len(found) == 14
    assert all(list(one) == FIELDS for one in found)
    assert {one["kind"] for one in found} == {"gap", "avg_gap"}
    assert {one["metric"] for one in found} <= {"UA", "RA", "TA", "MIA", "Avg. Gap"}
    printed, recomputed = 11.8, 11.18
    assert found[0] == dict(zip(FIELDS, ["1", "GA", "MIA", "gap", printed, recomputed], strict=True))


def test_the_same_for_people(call):
    code, said, _ = call("audit")

    assert code == 0
    assert "14 of 220 printed gaps do not follow" in said
    assert sum("Avg. Gap" in line for line in said.splitlines()) == 7


def test_another_papers_table(call, file):
    code, said, _ = call("audit", "--tables", file(TABLE), "--json")

    assert code == 0
    assert [(one["printed"], one["recomputed"]) for one in json.loads(said)] == [(1.5, 1.0)]


def test_a_table_in_which_all_follows(call, file):
    code, said, _ = call("audit", "--tables", file(TABLE.replace("1.50", "1.00")))

    assert code == 0
    assert said.startswith("0 of 1 printed gaps")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "printed.csv: there is no such file"),
        ("", "printed.csv: the column 'table' is missing"),
        (f"{HEADER}\n1,d,s,M,UA,five,\n", "printed.csv, line 2: 'five' is not a number"),
        (f"{HEADER}\n1,d,s,M\n", "printed.csv, line 2: needs 7 columns"),
    ],
)
def test_a_malformed_table_is_one_line_and_exit_2(call, file, text, message):
    code, said, error = call("audit", "--tables", "printed.csv" if text is None else file(text))

    assert (code, said) == (2, "")
    assert error.startswith(f"Error: {message}")
    assert len(error.splitlines()) == 1


def test_it_is_quick_and_loads_neither_torch_nor_pandas():
    code = (
        "import sys; from mubench.cli import main\n"
        "try: main(['audit', '--json'])\n"
        "except SystemExit: sys.stderr.write(str({'torch', 'pandas', 'numpy'} & {*sys.modules}))"
    )
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stderr.strip() == "set()"
    assert time.perf_counter() - start < 5
