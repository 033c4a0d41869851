"""What of a machine and its installation decides numbers: a cell may only run where it equals the key's."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any

from mubench.planning.device import processor
from mubench.version import NUMERICS, __version__

# torch may take so long to be read from a slow disk.
LIMIT = 300.0


def facts(device: str) -> dict[str, Any]:
    """The versions and the processor that keys hold, for "cpu" or "cuda"."""
    versions = {"mubench": __version__, "numerics": NUMERICS, "torch": metadata.version("torch")}
    return {**versions, "processor": processor(device)}


def facts_apart(device: str) -> dict[str, Any]:
    """The same from a process of its own, so that this one takes no memory on the GPU."""
    command = [sys.executable, "-P", "-m", "mubench.running.machine", device]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _leaves(facts: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{name} ")
        else:
            yield path + name, value


def difference(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """In words, the facts of another machine that differ from `ours`; "" if none does."""
    there, here = dict(_leaves(theirs)), dict(_leaves(ours))
    return "; ".join(
        f"its {name} is {_words(there.get(name), here.get(name))}"
        for name in sorted({*there, *here})
        if there.get(name) != here.get(name)
    )


def _words(there: Any, here: Any) -> str:
    """Of two lists only what they do not share."""
    if isinstance(there, list) and isinstance(here, list) and there and here:
        there, here = [v for v in there if v not in here], [v for v in here if v not in there]
    there, here = (", ".join(map(str, v)) if isinstance(v, list) else v for v in (there, here))
    return f"{there or 'not set'}, here it is {here or 'not set'}"


if __name__ == "__main__":
    print(json.dumps(facts(sys.argv[1])))  # noqa: T201
