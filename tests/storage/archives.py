"""Records that nobody trained, and what an archive of them holds."""

import numpy as np

from mubench.api.outputs import SETS
from mubench.storage.store import read_record

KEYS = ["ab" + "0" * 62, "ab" + "1" * 62, "cd" + "2" * 62]


def outputs(seed=0):
    rng = np.random.default_rng(seed)
    made = {f"logits.{s}": rng.normal(size=(4, 3)).astype(np.float32) for s in SETS}
    return {**made, **{f"labels.{s}": rng.integers(0, 3, 4) for s in SETS}}


def about(**changes):
    cost = {"seconds": 1.5, "shared": False, "read": {"forget": 4, "retain": 0}, "forward": 4, "backward": 4}
    return {
        "method": "FT",
        "seed": 0,
        "parameters": {"lr": 0.1},
        "forgotten": [],
        "cost": {**cost, "peak_memory_mib": None},
        "environment": {"hardware": "an abacus", "torch": "2.0", "device": "cpu"},
        "notes": {},
        **changes,
    }


def members(store, keys=KEYS):
    """What an archive of these records holds."""
    return [
        (f"records/{key}/{name}", content)
        for key in keys
        for name, content in read_record(store.folder(key))[1].items()
    ]


def tree(root):
    """Every file below a folder and its bytes, but for locks."""
    files = (p for p in root.rglob("*") if p.is_file() and p.suffix != ".lock")
    return {str(p.relative_to(root)): p.read_bytes() for p in files}
