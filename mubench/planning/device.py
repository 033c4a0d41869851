"""Which device and precision a run gets, decided without importing torch where that is possible."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Literal, cast

from mubench.errors import UsageError


def _may_have_cuda() -> bool:
    """On Linux, no driver's device file means no CUDA: that saves the seconds of importing torch."""
    if not sys.platform.startswith("linux"):
        return sys.platform != "darwin"
    return Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists()


def resolve_device(wanted: str) -> str:
    """ "cpu" or "cuda" for "auto", "cpu" or "cuda"; UsageError if CUDA is wanted and not there."""
    if wanted not in ("auto", "cpu", "cuda"):
        raise UsageError(f"unknown device {wanted!r}; there are auto, cpu and cuda")
    if wanted == "cpu":
        return "cpu"
    if _may_have_cuda():
        import torch

        if torch.cuda.is_available():
            return "cuda"
    if wanted == "cuda":
        raise UsageError("device 'cuda' is wanted, but torch finds no CUDA device here; use --device cpu")
    return "cpu"


def resolve_precision(wanted: str, device: str) -> Literal["fp32", "bf16"]:
    """ "auto" is bf16 where the hardware computes in it, else fp32."""
    if wanted != "auto":
        return cast(Literal["fp32", "bf16"], wanted)
    if device == "cuda":
        import torch

        return "bf16" if torch.cuda.get_device_capability() >= (8, 0) else "fp32"
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return "fp32"
    return "bf16" if flags & {"avx512_bf16", "amx_bf16"} else "fp32"


def check_compile(device: str) -> None:
    """Raise UsageError if torch.compile cannot work: on the CPU it calls a C++ compiler."""
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if device == "cpu" and shutil.which(compiler) is None:
        raise UsageError(f"compile = true needs the C++ compiler {compiler!r} here; install it or set CXX")


def default_jobs(device: str, threads: int) -> int:
    """As many cells at once as there are cores for their threads; one on a GPU."""
    if device != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // threads)
