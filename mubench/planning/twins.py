"""Cells that are the same but for the machine: on another processor, or with another torch, keys differ."""

from __future__ import annotations

from mubench.planning.keys import method_facts, original_facts
from mubench.planning.plan import Plan
from mubench.storage.files import key_of

# Facts of a key that say where a cell ran; they move the last digits of its numbers.
_PLACE = ("torch", "processor", "device", "threads")


def twins(plan: Plan) -> dict[str, str]:
    """Key of each method's cell of a plan -> its twin: the same hash of the same facts, but for the place.

    Data, split, model, recipe, precision, seed, the method's source and parameters, and the version of
    mubench's numerics are in it.
    """
    splits = {split.digest: split for block in plan.blocks for split in block.splits.values()}
    partition = next(iter(splits.values())).partition
    starts: dict[int, str] = {}
    found = {}
    for cell in plan.cells:
        if cell.seed not in starts:
            facts = original_facts(cell.setting, partition, {}, cell.seed)
            starts[cell.seed] = key_of({name: value for name, value in facts.items() if name not in _PLACE})
        if cell.spec is not None:
            start, split = starts[cell.seed], splits[cell.split]
            parameters = cell.parameters or {}
            found[cell.key] = key_of(
                method_facts(start, split, cell.spec, parameters, cell.seed, cell.stream, cell.composition)
            )
    return found
