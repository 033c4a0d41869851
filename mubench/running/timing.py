"""Measures the work of a cell: seconds, memory on the device, and whether others slowed it down."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# by name: a method that replaces the functions of `time` does not reach these
from time import perf_counter, process_time
from typing import Any

import torch

# Work that lacked a processor for more than this share of its time was slowed down by others.
DISTURBED = 0.05


@dataclass(frozen=True)
class Timed:
    """What some work returned, its seconds, its peak memory in MiB (CUDA only), whether others slowed it."""

    result: Any
    seconds: float
    peak: float | None
    shared: bool


def _queued() -> float | None:
    """Seconds that this process has waited, ready to run, for a processor; None where that is not counted."""
    try:
        return int(Path("/proc/self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None


def timed(work: Callable[[], Any], device: torch.device, jobs: int) -> Timed:
    """Do the work alone, the device synchronised on both sides; a forked child that comes back is ended.

    On CUDA it was shared if several cells run at once (jobs > 1). On the CPU it was if the process waited
    for a processor; where the system does not count that, if it had none for other reasons too, as sleep.
    """
    cuda, process = device.type == "cuda", os.getpid()
    if cuda:
        torch.cuda.synchronize(device)
        gc.collect()  # memory that lies in cycles would count
        torch.cuda.reset_peak_memory_stats(device)
    queued, busy, start = _queued(), process_time(), perf_counter()
    try:
        result = work()
    finally:
        if os.getpid() != process:
            os._exit(1)
    if cuda:
        torch.cuda.synchronize(device)
    seconds, worked, waited = perf_counter() - start, process_time() - busy, _queued()
    if cuda:
        return Timed(result, seconds, torch.cuda.max_memory_allocated(device) / 2**20, jobs > 1)
    lacked = seconds - worked if queued is None or waited is None else waited - queued
    return Timed(result, seconds, None, lacked > DISTURBED * seconds)
