"""What a metric's declaration refuses."""

from pathlib import Path

import pandas as pd
import pytest

from mubench import metric
from mubench.api.metric import taken
from mubench.discovery.find import Catalogue

PUBLISHED = Path(__file__).parents[2] / "results" / "published" / "cifar10-all"


@pytest.mark.parametrize(
    ("function", "declared", "message"),
    [
        (lambda o: 0, {"better": "bigger"}, "better is 'bigger'; it may be reference, higher, lower"),
        (lambda o, r: 0, {}, r"the signature starts \(outputs, \*, \.\.\.\), not \(o, r\)"),
        (
            lambda o: 0,
            {"needs": "pair"},
            r"the signature starts \(outputs, reference, .*not \(o\)",
        ),
        (lambda o, *, scale: 0, {}, "parameter scale needs a default"),
        (lambda o, **rest: 0, {}, r"\*args and \*\*kwargs"),
    ],
)
def test_a_wrong_declaration_says_why(function, declared, message):
    with pytest.raises(TypeError, match=message):
        metric("x", **{"title": "X", "better": "higher", **declared})(function)


@pytest.mark.parametrize("name", ["rte", "avg_gap", "avg_gap_mine", "ua_gap", "note_x", "mia_svc_se"])
def test_the_name_of_another_column_is_refused(name):
    with pytest.raises(TypeError, match=f"tables have a column '{name}' already"):
        metric(name, title="X", better="higher")(lambda outputs: 0)


def test_no_column_of_a_published_table_but_a_metrics_is_free():
    metrics = {spec.name for spec in Catalogue().metrics.values()}
    for file in ("cells.csv", "table.csv"):
        columns = pd.read_csv(PUBLISHED / file, nrows=0).columns
        # a metric may return further numbers, named after it
        own = [c for c in columns if any(c == m or c.startswith(f"{m}_") for m in metrics)]
        assert [c for c in columns if c not in own and not taken(c)] == []
    assert not any(taken(name) for name in metrics)
