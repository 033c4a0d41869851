"""What numbers were made with: versions, device, system."""

from __future__ import annotations

import platform
import subprocess
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from mubench.version import __version__


@lru_cache
def environment(device: str) -> dict[str, Any]:
    """Versions, device ("cpu" or "cuda"), hardware, system and commit that numbers are made with."""
    name = torch.cuda.get_device_name() if device == "cuda" else _cpu_name()
    return {
        "mubench": __version__,
        "python": platform.python_version(),
        **{p: metadata.version(p) for p in ("torch", "numpy")},
        "device": device,
        "hardware": name,
        "system": platform.platform(),
        "commit": _commit(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _commit() -> str | None:
    """The commit of the checkout that mubench runs from, "+" if it was changed since; None elsewhere."""
    home = Path(__file__).parents[2]
    if not (home / ".git").exists():
        return None
    try:
        said = [
            subprocess.run(
                ["git", "-C", str(home), *words], capture_output=True, text=True, check=True
            ).stdout
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--", "mubench", "methods"])
        ]
    except (OSError, subprocess.CalledProcessError):
        return None
    return said[0].strip() + "+" * bool(said[1].strip())
