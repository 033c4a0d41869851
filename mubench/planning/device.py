"""Which device and precision a run gets, decided without importing torch where that is possible."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any, Literal, cast

from mubench.errors import UsageError

# Of /proc/cpuinfo: on x86, then on ARM.
_MODEL = ("vendor_id", "cpu family", "model", "cache size", "CPU implementer", "CPU part", "CPU variant")
# Instruction sets for arithmetic; other flags change with the kernel and decide nothing.
_INSTRUCTIONS = ("sse", "ssse", "avx", "fma", "f16c", "amx", "asimd", "sve", "sme", "bf16", "i8mm")
_ONEDNN = ("MAX_CPU_ISA", "CPU_ISA_HINTS", "DEFAULT_FPMATH_MODE")
_OVERRIDES = {
    "cpu": (
        *("MKL_ENABLE_INSTRUCTIONS", "MKL_DEBUG_CPU_TYPE", "MKL_CBWR"),
        *(f"{p}_{n}" for p in ("ONEDNN", "DNNL") for n in _ONEDNN),
    ),
    "cuda": ("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"),
}


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
    flags = _cpuinfo().get("flags", "").split()
    return "bf16" if {"avx512_bf16", "amx_bf16"}.intersection(flags) else "fp32"


def _cpuinfo() -> dict[str, str]:
    """What Linux says of the first processor; empty elsewhere."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def cpu_capability() -> str:
    """`torch.backends.cpu.get_cpu_capability()` of an x86 processor on Linux, without importing torch.

    Elsewhere the machine's kind and what ATEN_CPU_CAPABILITY asks for.
    """
    flags = set(_cpuinfo().get("flags", "").split())
    override = os.environ.get("ATEN_CPU_CAPABILITY", "")
    if not flags:
        return f"{platform.machine()} {override}".strip()
    if override in ("default", "avx2", "avx512"):  # torch ignores any other word
        return override.upper()
    if {"avx512vl", "avx512bw", "avx512dq", "fma"} <= flags:
        return "AVX512"
    return "AVX2" if {"avx2", "fma"} <= flags else "DEFAULT"


def processor(device: str) -> dict[str, Any]:
    """What of the processor decides the numbers, for keys: other facts may mean other last digits.

    On the CPU: torch's capability, what MKL and oneDNN choose their kernels and block sizes by (make,
    model, instruction sets, cache), and the environment variables that overrule these choices. On a
    GPU: its name and compute capability, and the variables about TF32.
    """
    if device == "cuda":
        import torch

        facts: dict[str, Any] = {
            "model": torch.cuda.get_device_name(),
            "capability": list(torch.cuda.get_device_capability()),
        }
    else:
        about = _cpuinfo()
        sets = (about.get("flags") or about.get("Features", "")).split()
        facts = {
            "model": [about.get(name, "") for name in _MODEL] if about else platform.processor(),
            "capability": cpu_capability(),
            "instructions": sorted(f for f in sets if f.startswith(_INSTRUCTIONS)),
        }
    return {**facts, "environment": {n: os.environ[n] for n in _OVERRIDES[device] if n in os.environ}}


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_jobs(device: str, threads: int) -> int:
    """As many cells at once as there are cores for their threads; one on a GPU."""
    if device != "cpu":
        return 1
    return max(1, cores() // threads)
