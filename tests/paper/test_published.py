"""Published rows: both forms of CSV in one shape, and a line for whatever is wrong with a file."""

import pytest

from mubench.errors import UsageError
from mubench.paper.published import CELLS, ROWS, Value, load, other_papers, paper_tables, plain

ROW = "Doe 2030 (New; arXiv 1),Table 2,CIFAR-10,ResNet-18,{forget},M,{ua},2,3,4,SVC confidence,1.5,{time},"


@pytest.fixture
def file(tmp_path):
    """`file(text, header)`: the path of a CSV."""

    def write(text, header=ROWS):
        path = tmp_path / "printed.csv"
        path.write_text(",".join(header) + "\n" + text + "\n", encoding="utf-8")
        return path

    return write


def one_row(forget="random 10%", ua="1±0.5", time="2.5"):
    return ROW.format(forget=forget, ua=ua, time=time)


def test_the_packages_rows():
    paper, others = paper_tables(), other_papers()

    assert sum(len(row.values) for row in paper) == 408
    assert len(others) == 116
    first = others[0]
    assert (first.key, first.scenario, first.values["UA"]) == ("salun", "random-10", Value(5.24, 0.69))
    assert first.values["RTE"].mean == pytest.approx(43.29 * 60)
    assert {row.key for row in (*paper, *others)} == {
        *("wss-cl", "salun", "l1-sparse", "amun", "lotus", "negmerge", "munba")
    }


def test_cells_and_rows_come_in_one_shape():
    cells = next(row for row in paper_tables() if row.method == "SalUn" and row.table == "1")
    row = next(row for row in other_papers() if row.method == "SalUn")

    assert cells.values["RTE"] == Value(160.0)
    assert cells.gaps["MIA"] == 5.81
    assert plain(cells.dataset) == plain(row.dataset) == "cifar10"
    assert cells.scenario == row.scenario == "random-10"
    assert cells.values.keys() == row.values.keys()
    assert cells.is_svc
    assert row.is_svc


def test_a_share_becomes_percent_and_other_attacks_are_not_the_svc():
    kinds = {(row.key, row.table): row.is_svc for row in other_papers()}

    assert not kinds["lotus", "notebook"]
    assert not kinds["amun", "Table 1"]
    assert kinds["amun", "Table 10"]
    original = next(row for row in other_papers() if row.key == "lotus")
    assert original.values["MIA"] == Value(94.0)
    assert "share not stated" in original.note


def test_any_further_file_of_rows(file):
    (row,) = load(file(one_row("random 20% per class")))

    assert (row.key, row.table, row.scenario, row.method) == ("new", "Table 2", "random-20", "M")
    assert row.values["UA"] == Value(1.0, 0.5)
    assert row.values["Avg. Gap"] == Value(1.5)
    assert row.values["RTE"] == Value(150.0)


def test_a_spreadsheets_byte_order_mark_is_no_part_of_the_header(file):
    path = file(one_row())
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())

    assert len(load(path)) == 1


CELL = "1,d,s,M,UA,5,"


@pytest.mark.parametrize(
    ("header", "text", "message"),
    [
        ([c for c in CELLS if c != "metric"], "", r"printed\.csv: the column 'metric' is missing"),
        ([c for c in ROWS if c != "TA"], "", "the column 'TA' is missing"),
        (CELLS, "1,d,s,M,UA,x,", r"printed\.csv, line 2: 'x' is not a number"),
        (CELLS, "1,d,s,M,UA,nan,", "'nan' is not a number"),
        (CELLS, "1,d,s,M,UA,1,inf", "'inf' is not a number"),
        (CELLS, "1,d,s,M,RTE,2:75,", "line 2: '2:75' is not a time"),
        (CELLS, "1,d,s", "line 2: needs 7 columns"),
        (CELLS, "1,d,s,M,UA,1,2,3", "line 2: needs 7 columns"),
        (CELLS, f"{CELL}\n{CELL}", "line 3: a second UA of 'M'"),
        (CELLS, '1,d,s,M,UA,"5,', "line 2: not a CSV"),
        (ROWS, one_row(ua="1±"), "line 2: '' is not a number"),
        (ROWS, one_row(time="soon"), "line 2: 'soon' is not a number"),
        (ROWS, f"{one_row()}\n{one_row()}", "line 3: a second row of 'M'"),
    ],
)
def test_a_malformed_file_is_named(file, header, text, message):
    with pytest.raises(UsageError, match=message):
        load(file(text, header))


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(UsageError, match=r"none\.csv: there is no such file"):
        load(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        load(tmp_path)
    (tmp_path / "picture.csv").write_bytes(b"\x89PNG\xff")
    with pytest.raises(UsageError, match=r"picture\.csv: not a CSV in UTF-8"):
        load(tmp_path / "picture.csv")
