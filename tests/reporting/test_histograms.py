"""Histograms as they are kept beside cells.csv."""

import numpy as np
import pytest

from mubench.reporting import histograms
from mubench.reporting.histograms import LIMIT, WIDTH, Histogram


def test_bins_by_hand():
    made = Histogram.of(np.array([-0.3, -0.25, 0.0, 0.1, 0.6]))
    assert (made.first, made.counts) == (-2, (1, 1, 2, 0, 1))
    assert made.left.tolist() == [-0.5, -0.25, 0.0, 0.25, 0.5]


def test_every_value_but_nan_counts():
    made = Histogram.of(np.array([-np.inf, np.inf, 1e9, np.nan, 0.0], np.float32))
    assert sum(made.counts) == 4
    assert (made.counts[0], made.counts[-1]) == (1, 2)
    assert made.left[0] == -LIMIT
    assert made.left[-1] == LIMIT - WIDTH
    assert Histogram.of(np.array([np.nan])).counts == ()


def test_quantiles_are_those_of_the_values_to_a_bin():
    values = np.random.default_rng(0).normal(3, 5, 2000)
    q = [0.01, 0.5, 0.99]
    assert Histogram.of(values).quantiles(q) == pytest.approx(np.quantile(values, q), abs=WIDTH)


def test_what_is_kept_is_read_back_for_the_same_cells_only(tmp_path, scores, sixteen):
    made = scores(sixteen())
    keys = {row: [f"{i:064x}"] for i, row in enumerate(made)}
    histograms.save(made, keys, tmp_path)

    assert histograms.load(keys, tmp_path) == made
    assert set(histograms.load({**keys, "FT": ["f" * 64]}, tmp_path)) == set(made) - {"FT"}
    assert (tmp_path / "histograms.json").stat().st_size < 20_000


@pytest.mark.parametrize(
    "junk", ["", "[]", "{}", '{"width": 0.25, "rows": {"FT": {"cells": 1}}}', "[" * 10_000]
)
def test_a_spoilt_file_is_as_good_as_none(tmp_path, junk):
    (tmp_path / "histograms.json").write_text(junk)
    assert histograms.load({"FT": []}, tmp_path) == {}
