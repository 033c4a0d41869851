"""What the paper and the public code of its methods say, as data.

Paper: Tran and Le (2025), "WSS-CL: Weight Saliency Soft-Guided Contrastive Learning for Efficient
Machine Unlearning Image Classification", arXiv 2508.04308.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any

from mubench.errors import unknown


def settings(name: str, where: str = "") -> dict[str, dict[str, Any]]:
    """Method -> hyper-parameters of one setting of the paper, published or recommended.

    Raises UsageError, with the nearest name, if there is no such setting.
    """
    text = resources.files(__name__).joinpath("settings.toml").read_text(encoding="utf-8")
    known: dict[str, dict[str, dict[str, Any]]] = tomllib.loads(text)
    if name not in known:
        raise unknown("settings", name, known, where)
    return known[name]
