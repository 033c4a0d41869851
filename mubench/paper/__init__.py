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
    known: dict[str, dict[str, dict[str, Any]]] = _toml("settings.toml")
    if name not in known:
        raise unknown("settings", name, known, where)
    return known[name]


def protocol(key: str) -> dict[str, str]:
    """What is known of how the rows of a source were made: images, epochs, seeds, split, doubt."""
    known: dict[str, dict[str, str]] = _toml("protocols.toml")
    return known.get(key, {})


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files(__name__).joinpath(name).read_text(encoding="utf-8"))
