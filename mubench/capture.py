"""CUDA graphs: a step's kernels are recorded once and replayed, without Python or launches between them.

A small network's step consists of hundreds of short kernels; launching them one by one takes longer
than running them. A step whose loss cannot be recorded runs as it is.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mubench.ledger import Ledger

# Real steps of a shape before it is recorded: libraries choose their kernels in the first ones.
EAGER_STEPS = 3
# An epoch has batches of at most two sizes; a method that makes many shapes gains nothing here.
MAX_GRAPHS = 6

_PLAIN = (bool, int, float, str)
_pool: Any = None


def plain_values(function: Callable[..., Any]) -> tuple[Hashable, ...]:
    """The numbers and strings that a closure holds: baked into a recording, so they are part of its name."""
    held: list[Hashable] = []
    for cell in getattr(function, "__closure__", None) or ():
        try:
            content = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
        if isinstance(content, _PLAIN):
            held.append(content)
        elif callable(content) and hasattr(content, "__closure__"):
            held.extend(plain_values(content))
    return tuple(held)


class Recording(NamedTuple):
    """A captured step: copy a batch into `inputs`, replay, and `loss` holds its result."""

    graph: Any
    inputs: list[Tensor]
    loss: Tensor
    forward: int
    backward: int


def record(work: Callable[[Sequence[Tensor]], Tensor], batch: Sequence[Tensor], ledger: Ledger) -> Recording:
    """Capture `work(batch)` without running it; its passes are noted, not counted."""
    global _pool
    if _pool is None:
        # recordings replay one after another and their losses are copied at once: they share memory
        _pool = torch.cuda.graph_pool_handle()
    inputs = [t.clone() for t in batch]
    before = ledger.forward, ledger.backward
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, pool=_pool):
            loss = work(inputs)
        passes = ledger.forward - before[0], ledger.backward - before[1]
    finally:
        ledger.forward, ledger.backward = before
    return Recording(graph, inputs, loss, *passes)


class Replayer:
    """Calls `work` as it is a few times for each shape of batch, then replays a recording of it."""

    def __init__(
        self,
        work: Callable[[Sequence[Tensor]], Tensor],
        ledger: Ledger,
        facts: Callable[[], Hashable] = lambda: (),
        record: Callable[..., Recording] = record,
    ) -> None:
        """`facts`: what else a recording depends on; another value is recorded anew."""
        self._work, self._ledger, self._facts, self._record = work, ledger, facts, record
        self._seen: Counter[Hashable] = Counter()
        self._recordings: dict[Hashable, Recording] = {}
        self._possible = True

    def __call__(self, batch: Sequence[Tensor]) -> Tensor:
        """The loss of one step on `batch`, a tensor of its own."""
        name = (tuple((t.shape, t.dtype) for t in batch), self._facts())
        recording = self._recordings.get(name)
        if recording is None:
            self._seen[name] += 1
            if not self._possible or self._seen[name] <= EAGER_STEPS or len(self._recordings) >= MAX_GRAPHS:
                return self._work(batch)
            try:
                recording = self._recordings[name] = self._record(self._work, batch, self._ledger)
            except RuntimeError as error:
                if isinstance(error, torch.OutOfMemoryError):
                    raise
                self._possible = False
                torch.cuda.synchronize()
                first = str(error).strip().splitlines()[0]
                warnings.warn(f"a step cannot be recorded and runs without: {first}", stacklevel=2)
                return self._work(batch)
        for static, given in zip(recording.inputs, batch, strict=True):
            static.copy_(given)
        recording.graph.replay()
        self._ledger.forward += recording.forward
        self._ledger.backward += recording.backward
        return recording.loss.clone()
