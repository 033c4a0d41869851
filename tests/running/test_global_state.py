"""What a process shares beyond arguments is the caller's again after a check."""

import subprocess
import sys

import torch

from mubench.running.global_state import current_settings, fresh_state


def test_what_is_changed_inside_is_set_back():
    before = current_settings()

    with fresh_state(0):
        torch.use_deterministic_algorithms(not before["deterministic algorithms"])
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)

    assert current_settings() == before


def test_where_nothing_is_changed_the_compiler_is_not_imported():
    code = (
        "import sys\nfrom mubench.running.global_state import fresh_state\n"
        "with fresh_state(0):\n    pass\nprint('torch._dynamo' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"
