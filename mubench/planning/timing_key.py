"""What decides how long a cell takes: the key under which its time is kept for estimates."""

from __future__ import annotations

from typing import Any

from mubench.planning.cell import Cell, Setting


def timing_facts(setting: Setting, cell: Cell) -> dict[str, Any]:
    """All that the time of a cell depends on; cells that differ in their seed only have the same facts.

    `store.cached_json("timings", key_of(timing_facts(...)))` is {"seconds", "images_per_second"} of the last
    such cell that ran: of the whole cell, and of its training alone if it trains by the recipe (else None).
    """
    forget = setting.forget.model_dump(by_alias=True)
    forget.pop("class", None)  # classes are about equally large
    return {
        "method": cell.spec.name if cell.spec else None,
        "parameters": cell.parameters,
        "data": setting.data_digest,
        "forget": forget if cell.spec else None,
        "model": setting.model,
        "recipe": setting.recipe.model_dump(),
        "batch_size": setting.batch_size,
        "precision": setting.precision,
        "device": setting.device,
        "threads": setting.threads,
        "compile": setting.compile,
    }
