"""What decides how long a cell takes, as plain data to be hashed into a key."""

from __future__ import annotations

from typing import Any

from mubench.planning.cell import Cell, Setting


def rate_facts(setting: Setting) -> dict[str, Any]:
    """What decides how many images a second are trained by the recipe."""
    return {
        "data": setting.data.digest,
        "model": [setting.model.name, setting.model.source],
        "batch_size": setting.batch_size,
        "precision": setting.precision,
        "device": setting.device,
        "threads": setting.threads,
        "compile": setting.compile,
    }


def timing_facts(setting: Setting, cell: Cell) -> dict[str, Any]:
    """What decides how long a cell takes; the same for all seeds. Originals know no forget set."""
    forget = setting.forget.model_dump(by_alias=True)
    forget.pop("class", None)  # classes are about equally large
    return {
        **rate_facts(setting),
        "recipe": setting.recipe.model_dump(),
        "method": cell.spec.name if cell.spec else None,
        "parameters": cell.parameters,
        **cell.composition.about,
        **({"own": cell.own.about} if cell.own else {}),
        "forget": forget if cell.spec else None,
    }
