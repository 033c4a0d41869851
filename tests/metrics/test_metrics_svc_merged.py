"""Merging near-equal confidences leaves the SVC attack where scikit-learn's own fit puts it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.svm import SVC

from mubench.metrics import svc


def _direct(members: np.ndarray, nonmembers: np.ndarray, targets: np.ndarray) -> float:
    x = np.concatenate([np.sort(members), np.sort(nonmembers)])[:, None]
    y = np.repeat([1, 0], [len(members), len(nonmembers)])
    machine = SVC(C=3, gamma="auto", kernel="rbf").fit(x, y)
    return 100.0 * float(np.mean(machine.predict(targets[:, None]) == 0))


def _saturated(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    draw = 1 - 10 ** -rng.gamma(4, 0.8, n), 1 - 10 ** -rng.gamma(4, 0.7, n)
    wrong = rng.random(n) < 0.07
    draw[1][wrong] = rng.random(int(wrong.sum()))
    return draw


def _overlapping(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    return rng.beta(5, 2, n), rng.beta(5, 2.3, n)


@pytest.mark.parametrize("case", [_saturated, _overlapping])
@pytest.mark.parametrize("seed", [0, 1])
def test_merged_agrees_with_scikit_learn_within_a_tenth_of_a_point(case, seed: int) -> None:
    members, nonmembers = case(np.random.default_rng(seed), 1500)
    targets = np.concatenate([members, nonmembers])
    assert len(targets) > svc.MERGE_ABOVE
    found = svc.share_of_nonmembers(members, nonmembers, targets)
    assert found == pytest.approx(_direct(members, nonmembers, targets), abs=0.1)
    assert 0 < found < 100


def test_equal_values_merge_into_one_of_their_joint_weight() -> None:
    values, weights = svc._merged(np.array([0.25, 0.25, 0.25, 0.75]), svc.GRID)
    assert values.tolist() == [0.25, 0.75]
    assert weights.tolist() == [3.0, 1.0]


@pytest.mark.parametrize("case", [_saturated, _overlapping])
def test_every_target_is_on_the_side_where_the_machine_sees_it(case) -> None:
    members, nonmembers = case(np.random.default_rng(0), 1500)
    x = np.concatenate([members, nonmembers])[:, None]
    machine = SVC(C=3, gamma="auto", kernel="rbf").fit(x, np.repeat([1, 0], 1500))
    targets = np.concatenate([members, nonmembers, np.linspace(0, 1, 2001)])
    expected = machine.predict(targets[:, None]) == 0
    assert np.array_equal(svc._nonmember(machine, targets), expected)
    assert expected.any()
    assert not expected.all()


def test_where_the_machine_cannot_tell_it_is_asked() -> None:
    """Shadows all alike: its decision is 0, up to rounding, everywhere."""
    x, targets = np.ones((40, 1)), np.linspace(0, 1, 50)
    machine = SVC(C=3, gamma="auto", kernel="rbf").fit(x, np.repeat([1, 0], 20))
    assert np.abs(machine.decision_function(targets[:, None])).max() < 1e-6
    assert np.array_equal(svc._nonmember(machine, targets), machine.predict(targets[:, None]) == 0)
