"""Signal to noise, rank correlation and the floor check, against scipy, closed forms and simulation."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mubench.reporting.columns import AvgGap
from mubench.reporting.doctor import Replicate, diagnose, jackknife, spearman
from mubench.reporting.doctor_text import as_data, as_table, rows_left_out
from mubench.reporting.floor_check import check_floor
from mubench.reporting.summary import summarise

SVC = AvgGap("avg_gap_svc", "Avg. Gap (SVC)", ("ua", "ra", "ta", "mia_svc"))
NAMES = SVC.metrics


def replicate(name, gaps, error=0.1, baseline=6.0, band=1.0):
    return Replicate(name, gaps, dict.fromkeys(gaps, error), baseline, band)


@pytest.mark.parametrize("seed", range(5))
def test_rank_correlation_is_scipys_ties_included(seed):
    rng = np.random.default_rng(seed)
    one, two = rng.integers(0, 6, 12).tolist(), rng.normal(size=12).round(seed % 2).tolist()

    assert spearman(one, two) == pytest.approx(stats.spearmanr(one, two).statistic)
    assert spearman(one, [3.0] * 12) == 0.0


def test_the_jackknife_of_a_single_metric_is_the_standard_error_of_the_mean():
    rng = np.random.default_rng(0)
    values, target = 9 + rng.normal(size=(8, 1)), rng.normal(size=(8, 1))

    # far from zero |mean| is as smooth as the mean, whose jackknife is s / sqrt(n)
    assert jackknife(values - target) == pytest.approx(stats.sem((values - target)[:, 0]))


def test_the_jackknifes_error_is_the_spread_over_repetitions():
    rng = np.random.default_rng(0)
    apart = np.array([3.0, -0.2, 2.0, 6.0]) + rng.normal(0, [1.5, 0.1, 1, 3], (2000, 10, 4))
    gaps = np.abs(apart.mean(axis=1)).mean(axis=1)

    errors = [jackknife(one) for one in apart]

    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(gaps.std(), rel=0.05)


def test_a_diagnosis_by_hand():
    one, two = {"A": 1.0, "B": 2.0, "C": 3.0, "D": 4.0}, {"A": 1.1, "B": 1.9, "C": 3.1, "D": 4.1}
    found = diagnose([replicate("fp32", one, 0.2), replicate("bf16", two)], 10)

    assert found.own_spread == pytest.approx(math.sqrt(5 / 3))
    assert found.spread == pytest.approx(
        (np.std(list(one.values()), ddof=1) + np.std(list(two.values()), ddof=1)) / 2
    )
    assert found.movement == pytest.approx(0.1)
    assert found.over_rounding == pytest.approx(found.spread / 0.1)
    assert found.over_seeds == pytest.approx(math.sqrt(5 / 3) / 0.2)
    assert found.correlations == {("fp32", "bf16"): pytest.approx(1.0)}
    assert found.discriminates
    assert found.verdict.startswith("Discriminating: signal to noise 13.")


def test_only_methods_that_compete_in_every_replicate_count():
    gaps = {"A": 1.0, "B": 2.0, "C": 3.0}
    found = diagnose([replicate("fp32", gaps | {"D": 99.0}), replicate("bf16", gaps)], 10)

    assert found.methods == ("A", "B", "C")
    assert found.own_spread == pytest.approx(1.0)


ALSO = ", or fewer training images, or a larger network."


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"error": 0.25}, "change: about 16 seeds."),  # signal 4: (5 / 4) ** 2 times the seeds
        ({"error": 0.5}, f"change: about 63 seeds{ALSO}"),  # signal 2
        ({"error": 0.25, "baseline": 2.0}, f"change: about 16 seeds{ALSO}"),
        ({"error": 0.25, "band": None}, f"change: about 16 seeds{ALSO}"),
    ],
)
def test_what_to_change(change, advice):
    gaps = {"A": 1.0, "B": 2.0, "C": 3.0}
    found = diagnose([replicate("fp32", gaps, **change), replicate("bf16", gaps)], 10)

    assert not found.discriminates
    assert found.over_rounding == math.inf  # nothing moved
    assert found.verdict.endswith(advice)


def test_ranks_that_change_are_not_discriminating_whatever_the_signal():
    one, two = {"A": 1.0, "B": 1.1, "C": 9.0}, {"A": 1.1, "B": 1.0, "C": 9.0}
    found = diagnose([replicate("fp32", one), replicate("bf16", two)], 10)

    assert found.over_rounding > 5 < found.over_seeds
    assert found.correlations["fp32", "bf16"] == pytest.approx(0.5)
    assert found.verdict.startswith("Not discriminating: ")
    assert "more than 10 seeds" in found.verdict


@pytest.mark.parametrize(
    ("gaps", "copies", "seeds", "message"),
    [
        ({"A": 1.0, "B": 2.0}, 2, 5, "at least 3 methods that compete, not 2"),
        ({"A": 1.0, "B": 2.0, "C": 3.0}, 1, 5, "at least 2 replicates, not 1"),
        ({"A": 1.0, "B": 2.0, "C": 3.0}, 2, 1, "at least 2 seeds, not 1"),
    ],
)
def test_too_little_to_tell(gaps, copies, seeds, message):
    with pytest.raises(ValueError, match=message):
        diagnose([replicate(str(i), gaps) for i in range(copies)], seeds)


def cells(make):
    """Two seeds, three Retrains, one method that is a point off everywhere and one that is idle."""
    rows = [("Retrain", "reference", 0), ("Retrain (again)", "floor", 0), ("Retrain (again 2)", "floor", 3)]
    rows += [("Original", "baseline", 5), ("Mine", "method", 2), ("Idle", "method", 5)]
    return pd.DataFrame(
        [
            make(name, role, seed, [50.0 + off + seed] * 5, changed=0 if name == "Idle" else 7)
            for name, role, off in rows
            for seed in (0, 1)
        ]
    )


def test_a_replicate_of_a_summary(make):
    summary = summarise(cells(make))
    one = Replicate.of("fp32", summary, summary.columns.headline)

    # the three Retrains are 1 above the first on average
    assert one.gaps == {"Mine": pytest.approx(1.0)}
    # every row is 1 higher at the second seed: what a method shares with Retrain does not count
    assert one.errors == {"Mine": pytest.approx(0.0)}
    assert one.baseline == pytest.approx(4.0)
    assert one.band == pytest.approx(summary.bands[summary.columns.headline.name])
    assert rows_left_out({"fp32": summary}, ["Mine"]) == ["Left out: Idle (changed no weight, fp32)."]


def test_the_text_and_the_data_say_the_same():
    gaps = {"A": 0.5, "B": 2.0, "C": 3.0}
    found = diagnose([replicate("fp32", gaps), replicate("bf16", gaps)], 10)
    rng = np.random.default_rng(0)
    check = check_floor(retrains(rng, 3, 5), 3, NAMES)

    table = as_table(found, "tiny", SVC.title, check, ["Made on: here."])
    data = as_data(found, "tiny", SVC.title, check)

    assert table.header == ("Method", "fp32", "bf16", "s.e.")
    assert [cell.text for cell in table.rows[0]] == ["A", "0.50", "0.50", "0.10"]
    assert table.notes[0] == found.verdict == data["verdict"]
    assert "within it: A." in " ".join(table.notes)
    assert f"in {check.percent:.1f} %" in " ".join(table.notes)
    assert data["signal_to_noise"]["over_rounding"] is None
    assert data["floor_check"]["above"] == check.above


def retrains(rng, seeds, count, shift=0.0):
    """Independent Retrains; the last one is moved by `shift`."""
    values = 50 + rng.normal(0, [1.0, 0.1, 0.5, 3.0], (seeds, count, 4))
    values[:, -1] += shift
    return [[dict(zip(NAMES, one, strict=True)) for one in of_seed] for of_seed in values]


def test_every_subset_is_tried_on_every_other_retrain():
    check = check_floor(retrains(np.random.default_rng(0), 4, 6), 3, NAMES)

    assert (check.retrains, check.drawn, check.trials) == (6, 3, 20 * 3)
    # a Retrain of its own kind is above each of the 10 bands of the others
    far = check_floor(retrains(np.random.default_rng(0), 4, 6, shift=100.0), 3, NAMES)
    assert far.above >= 10
    # where all are alike, none is above
    same = check_floor([[one[0]] * 6 for one in retrains(np.random.default_rng(0), 4, 6)], 3, NAMES)
    assert same.above == 0
    with pytest.raises(ValueError, match="6 Retrains cannot be tried on 6"):
        check_floor(retrains(np.random.default_rng(0), 4, 6), 6, NAMES)


@pytest.mark.slow
def test_the_share_of_trials_with_independent_retrains_is_five_percent():
    found = [check_floor(retrains(np.random.default_rng(i), 3, 5), 3, NAMES) for i in range(150)]

    assert 3 <= np.mean([one.percent for one in found]) <= 7
    assert any(one.holds for one in found)
    assert not all(one.holds for one in found)
