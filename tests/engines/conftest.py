"""Real runs in a folder of their own."""

import pytest
from hard_runs import Run


@pytest.fixture
def run(tmp_path):
    """Runs in an empty folder."""
    return Run(tmp_path)
