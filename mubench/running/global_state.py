"""What a process shares beyond arguments: global random generators and torch's settings."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


@contextmanager
def fresh_state(seed: int) -> Iterator[None]:
    """Global random states start from `seed`, on one thread; afterwards all is the caller's again."""
    ours, numpys, before = random.getstate(), np.random.get_state(), current_settings()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            random.seed(seed)
            np.random.seed(seed)
            torch.manual_seed(seed)
            yield
    finally:
        random.setstate(ours)
        np.random.set_state(numpys)
        now = current_settings()
        for name, value in before.items():
            # to set determinism anew would import torch's compiler, which takes seconds
            if now[name] != value:
                _SETTERS[name](value)


_SETTERS: Mapping[str, Callable[[Any], Any]] = {
    "the number of threads": torch.set_num_threads,
    "whether gradients are computed": torch.set_grad_enabled,
    "the default dtype": torch.set_default_dtype,
    "deterministic algorithms": torch.use_deterministic_algorithms,
    "anomaly detection": torch.autograd.set_detect_anomaly,
}


def current_settings() -> dict[str, Any]:
    """What a method could leave changed for all that comes after it."""
    values = (
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_anomaly_enabled(),
    )
    return dict(zip(_SETTERS, values, strict=True))


def global_states() -> dict[str, str]:
    """The states of the global random generators, comparable."""
    states = torch.get_rng_state().numpy().tobytes(), random.getstate(), np.random.get_state()
    return dict(zip(("torch's", "Python's", "numpy's"), map(repr, states), strict=True))
