"""The run that every hard-pressed one must equal."""

import numpy as np
import pytest
from hard_runs import RECORDS, Run


@pytest.fixture
def run(tmp_path):
    """Runs in an empty folder."""
    return Run(tmp_path)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The finished run that all others must equal."""
    whole = Run(tmp_path_factory.mktemp("undisturbed"))
    code, _, said = whole.finish()
    assert code == 0, said
    assert len(whole.records()) == RECORDS
    assert np.isfinite(whole.cells()["avg_gap"]).all()
    return whole
