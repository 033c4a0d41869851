"""CUDA graphs: a step's kernels are recorded once and replayed, without Python or launches between them.

A small network's step consists of hundreds of short kernels; launching them one by one takes longer
than running them. A step whose loss cannot be recorded runs as it is.
"""

from __future__ import annotations

import functools
import types
import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mubench.ledger import Ledger

# Real steps of a shape before it is recorded: libraries choose their kernels in the first ones.
EAGER_STEPS = 3
# A step that meets more shapes than a pair of sets can make (two sizes each) gains nothing here.
MAX_GRAPHS = 6
# Names a step may have before it is clear that none comes again: each keeps what it names alive.
PATIENCE = 50

# After a recording that failed, the allocator of this process may still wait for its end.
_clean = True


class Same:
    """An object by its identity; it is kept alive, so that no other one can take its place."""

    def __init__(self, held: object) -> None:
        """Any object, hashable or not."""
        self._held = held

    def __eq__(self, other: object) -> bool:
        """Whether both hold the very same object."""
        return isinstance(other, Same) and other._held is self._held

    def __hash__(self) -> int:
        """By identity."""
        return id(self._held)


def state(module: nn.Module) -> Hashable:
    """What a recording takes from a module besides its values: modes, and where the values lie."""
    tensors = [*module.parameters(), *module.buffers()]
    return (
        Same(module),
        tuple(m.training for m in module.modules()),
        tuple((t.data_ptr(), t.requires_grad) for t in tensors),
    )


def _read_globals(function: types.FunctionType) -> list[object]:
    """What the function may read from its module, but for functions and classes that others made."""
    space = function.__globals__
    codes, names = [function.__code__], set[str]()
    for code in codes:
        names.update(code.co_names)
        codes += [c for c in code.co_consts if isinstance(c, types.CodeType)]
    found = [space[name] for name in sorted(names) if name in space]
    own = (nn.Module, functools.partial)
    return [
        v for v in found if not callable(v) or isinstance(v, own) or getattr(v, "__globals__", None) is space
    ]


def baked(value: object, device: torch.device, seen: tuple[object, ...] = ()) -> Hashable:
    """What a recording of this function takes in for good, through closures, defaults and globals.

    device: where a recording finds the values of tensors anew. TypeError if the function holds something
    whose changes cannot be seen, such as a list or a tensor elsewhere.
    """
    if any(value is known for known in seen):
        return "itself"
    match value:
        case None | bool() | int() | float() | str() | torch.device() | torch.dtype():
            return (type(value).__name__, value)
        case Tensor():
            if value.device != device:
                raise TypeError(f"its loss holds a tensor on {value.device}, whose changes could not be seen")
            return (Same(value), value.data_ptr())
        case tuple():
            return tuple(baked(item, device, seen) for item in value)
        case nn.Module():
            return state(value)
        case types.FunctionType():
            held: list[Hashable] = [Same(value.__code__)]
            contents = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
            contents += _read_globals(value)
            for cell in value.__closure__ or ():
                try:
                    contents.append(cell.cell_contents)
                except ValueError:  # not assigned yet
                    held.append("unassigned")
            return (*held, *(baked(content, device, (*seen, value)) for content in contents))
        case types.BuiltinFunctionType() | type() | types.ModuleType():
            return Same(value)
    raise TypeError(f"its loss holds a {type(value).__name__}, whose changes could not be seen")


class Recording(NamedTuple):
    """A captured step: copy a batch into `inputs`, replay, and `loss` holds its result."""

    graph: Any
    inputs: list[Tensor]
    loss: Tensor
    forward: int
    backward: int


def record(
    work: Callable[[Sequence[Tensor]], Tensor], batch: Sequence[Tensor], ledger: Ledger, pool: Any
) -> Recording:
    """Capture `work(batch)` without running it; its passes are noted, not counted."""
    inputs = [t.clone() for t in batch]
    before = ledger.forward, ledger.backward
    stream = torch.cuda.current_stream()
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, pool=pool):
            loss = work(inputs)
        passes = ledger.forward - before[0], ledger.backward - before[1]
    finally:
        ledger.forward, ledger.backward = before
        torch.cuda.set_stream(stream)  # a capture that failed stays on its own
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
        """`facts`: what else a recording depends on; another value is recorded anew, TypeError not at all."""
        self._work, self._ledger, self._facts, self._record = work, ledger, facts, record
        self._seen: Counter[Hashable] = Counter()
        self._recordings: dict[Hashable, Recording] = {}
        self._possible = _clean
        self._pool: Any = None

    def __call__(self, batch: Sequence[Tensor]) -> Tensor:
        """The loss of one step on `batch`, a tensor of its own."""
        recording = self._recording(batch) if self._possible else None
        if recording is None:
            return self._work(batch)
        for static, given in zip(recording.inputs, batch, strict=True):
            static.copy_(given)
        recording.graph.replay()
        self._ledger.forward += recording.forward
        self._ledger.backward += recording.backward
        return recording.loss.clone()

    def _recording(self, batch: Sequence[Tensor]) -> Recording | None:
        """The recording for such a batch, made now if it is time; None to run the step as it is."""
        global _clean
        try:
            if not all(isinstance(t, Tensor) for t in batch):
                raise TypeError("its batch holds something that is no tensor")
            name = (tuple((t.shape, t.dtype) for t in batch), self._facts())
            if len(self._seen) > PATIENCE:
                raise TypeError("what its loss holds is another at every step")
        except TypeError as error:
            self._give_up(error)
            return None
        if name in self._recordings:
            return self._recordings[name]
        self._seen[name] += 1
        if self._seen[name] <= EAGER_STEPS or len(self._recordings) >= MAX_GRAPHS:
            return None
        if self._pool is None and torch.cuda.is_available():
            # recordings replay one after another and their losses are copied at once: they share memory
            self._pool = torch.cuda.graph_pool_handle()
        try:
            self._recordings[name] = self._record(self._work, batch, self._ledger, self._pool)
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            _clean = False
            self._give_up(error)
            return None
        return self._recordings[name]

    def _give_up(self, error: Exception) -> None:
        self._possible = False
        self._seen.clear()
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        warnings.warn(f"a step is not recorded and runs as it is: {first}", stacklevel=4)
