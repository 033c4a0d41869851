"""The published tables, and which of their numbers do not follow from the others."""

import pytest

from mubench.errors import UsageError
from mubench.paper.tables import COLUMNS, audit, load

HEADER = ",".join(COLUMNS)
ROWS = """
1,d,s,Retrain,UA,5.00,
1,d,s,Retrain,RA,100.00,
1,d,s,Retrain,TA,90.00,
1,d,s,Retrain,MIA,10.00,
1,d,s,M,UA,4.00,{ua}
1,d,s,M,RA,99.00,1.00
1,d,s,M,TA,88.00,2.00
1,d,s,M,MIA,14.00,4.00
1,d,s,M,Avg. Gap,{avg},
1,d,s,M,RTE,2:53,
"""


@pytest.fixture
def table(tmp_path):
    def write(text, header=HEADER):
        path = tmp_path / "printed.csv"
        path.write_text(header + "\n" + text.strip() + "\n")
        return path

    return write


@pytest.mark.parametrize(
    ("ua", "avg", "found"),
    [
        ("1.00", "2.00", []),
        ("1.02", "1.98", []),
        ("1.03", "2.00", [("UA", "gap", 1.03, 1.0)]),
        ("1.00", "2.03", [("Avg. Gap", "avg_gap", 2.03, 2.0)]),
        ("", "2.50", [("Avg. Gap", "avg_gap", 2.5, 2.0)]),
    ],
)
def test_what_does_not_follow_by_more_than_the_tolerance(table, ua, avg, found):
    wrong = audit(load(table(ROWS.format(ua=ua, avg=avg))))

    assert [(d.metric, d.kind, d.printed, d.recomputed) for d in wrong] == found


def test_the_papers_tables():
    wrong = {(d.table, d.method, d.metric): (d.printed, d.recomputed) for d in audit(load())}

    assert len(load()) == 408
    assert len(wrong) == 14
    assert wrong["1", "GA", "MIA"] == (11.8, 11.18)
    assert wrong["4", "BS", "Avg. Gap"] == (16.5, 23.2475)


@pytest.mark.parametrize(
    ("header", "text", "message"),
    [
        (HEADER.replace("metric,", ""), "", "the column 'metric' is missing"),
        (HEADER, "1,d,s,M,UA,x,", r"printed\.csv, line 2: 'x' is not a number"),
        (HEADER, "1,d,s", "line 2: needs 7 columns"),
        (HEADER, "1,d,s,M,UA,1,2,3", "line 2: needs 7 columns"),
    ],
)
def test_a_malformed_file_is_named(table, header, text, message):
    with pytest.raises(UsageError, match=message):
        load(table(text, header))
