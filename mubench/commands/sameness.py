"""Whether results made elsewhere are of the same data, and what they were run with that a suite is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mubench.errors import UsageError
from mubench.planning.plan import Plan

# What a manifest's `resolved` says that decides numbers.
_DECISIVE = ("model", "original", "batch_size", "precision", "compile", "forget", "split", "val_percent")


def check_same_data(plan: Plan, facts: Mapping[str, Any], where: str) -> None:
    """UsageError unless data and splits are the same, image for image, at every seed that both have."""
    if facts["data"]["sha256"] != plan.dataset.digest:
        raise UsageError(f"{where}: its data are not those of the suite here ({plan.dataset.title})")
    for block in plan.blocks:
        splits = facts["splits"].get(block.label, {}) if block.label else facts["splits"]
        for seed, split in block.splits.items():
            theirs = splits.get(str(seed))
            if theirs is not None and theirs["digest"] != split.digest:
                raise UsageError(f"{where}: its split at seed {seed} is not that of the suite here")


def differing(plan: Plan, facts: Mapping[str, Any]) -> list[str]:
    """Each setting of a manifest that decides numbers and is another here, in words; the data aside."""
    ours, theirs = plan.suite.model_dump(by_alias=True), facts.get("resolved")
    if not isinstance(theirs, Mapping):
        return ["its manifest does not say what it was run with"]
    return [
        f"{name} is {theirs[name]} in it, here {ours[name]}"
        for name in _DECISIVE
        if name in theirs and ours[name] != theirs[name]
    ]


def what_differs(plan: Plan, facts: Mapping[str, Any]) -> str:
    """In words, why a plan and an archive of the same data share no row."""
    if differences := differing(plan, facts):
        return differences[0]
    missing: Sequence[int] = [seed for seed in plan.suite.seeds if str(seed) not in facts["splits"]]
    if missing and not plan.blocks[0].label:
        return f"it has no seed {missing[0]}"
    return "its methods or models were of another version of mubench"
