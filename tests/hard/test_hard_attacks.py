"""The attacks on 10,000 + 10,000 scores give the answers of their slow definitions.

`python tools/measure_attacks.py` computes the stored answers anew and says how fast they are found.
"""

import runpy
from pathlib import Path

import numpy as np
import pytest

from mubench.metrics.svc import share_of_nonmembers
from mubench.metrics.threshold import best_threshold

pytestmark = pytest.mark.slow

MEASURE = runpy.run_path(str(Path(__file__).parents[2] / "tools" / "measure_attacks.py"))
# What one call of scikit-learn's SVC (1.9) says of all 20,000 confidences of seed 0: half a minute each.
STORED = {"saturated": 10.285, "overlapping": 55.23, "separated": 38.88}


@pytest.fixture(params=STORED)
def case(request):
    """(name, members, nonmembers)."""
    return request.param, *MEASURE["CASES"][request.param](np.random.default_rng(0))


@pytest.mark.parametrize("decimals", [None, 2])
def test_the_threshold_is_that_of_the_loop_over_all(case, decimals):
    _, *sides = case
    members, nonmembers = sides if decimals is None else [s.round(decimals) for s in sides]
    assert len(members) == len(nonmembers) == 10_000

    assert best_threshold(members, nonmembers)[0] == MEASURE["loop"](members, nonmembers)


def test_the_svc_attack_is_within_a_tenth_of_a_point_of_scikit_learn(case):
    name, members, nonmembers = case

    found = share_of_nonmembers(members, nonmembers, np.concatenate([members, nonmembers]))

    assert found == pytest.approx(STORED[name], abs=0.1)
