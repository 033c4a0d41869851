"""Which numbers of the published tables do not follow from the others."""

import pytest

from mubench.paper.audit import audit, check
from mubench.paper.published import CELLS, load, other_papers, paper_tables

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
def test_what_does_not_follow_by_more_than_the_tolerance(tmp_path, ua, avg, found):
    path = tmp_path / "printed.csv"
    path.write_text(",".join(CELLS) + ROWS.format(ua=ua, avg=avg))

    assert [(d.metric, d.kind, d.printed, d.recomputed) for d in audit(load(path))] == found


def test_the_papers_tables():
    wrong = {(d.table, d.method, d.metric): (d.printed, d.recomputed) for d in audit(paper_tables())}

    # 44 rows beside a Retrain in tables 1 to 4, each with four gaps and an Avg. Gap; none in table 5
    assert len(check(paper_tables())) == 44 * 5
    assert len(wrong) == 14
    assert wrong["1", "GA", "MIA"] == (11.8, 11.18)
    assert wrong["4", "BS", "Avg. Gap"] == (16.5, 23.2475)


def test_the_tables_of_other_papers():
    rows = [row for row in other_papers() if row.key in ("salun", "lotus")]

    # 18 and 36 rows beside a Retrain, without the four Originals, which have no Avg. Gap; LoTUS rounds
    assert len(check(rows)) == 18 + 32
    assert audit(rows, tolerance=0.03) == []
