"""Ray: cells on the nodes of a cluster that runs already.

A seat is an actor, pinned to a node, that owns a `Place`. The driver alone reads and writes the store: what a
cell needs goes to a node through Ray's object store, once, and the record comes back the same way. So a node
needs no folder of the driver's, and where it sees one, nothing depends on that.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from mubench.api.engine import engine
from mubench.engines._cluster import check_reachable, full_address, nodes, unreachable
from mubench.engines._seat import Seat, Shared
from mubench.errors import UsageError, need_package
from mubench.planning.cell import Cell, Setting
from mubench.storage.store import Store

# Seconds that seats may take to end themselves and what they run.
FAREWELL = 10.0


@engine("ray")
class Ray:
    """A Ray cluster that runs already: cells go to all its nodes whose processor is this machine's.

    address: HOST or HOST:PORT of the head node; auto is the cluster that this machine belongs to.
    gpus_per_cell: the share of a GPU that a cell gets, such as 0.5 for two cells on one.
    """

    def __init__(self, *, address: str = "auto", gpus_per_cell: float = 1.0) -> None:
        need_package("ray", "--engine ray", "ray")
        if not 0 < gpus_per_cell <= 1:
            raise UsageError(
                f"--gpus-per-cell {gpus_per_cell:g}: a cell takes a GPU or a share of one; "
                "give a number above 0, at most 1"
            )
        self._address = full_address(address)
        self._share = gpus_per_cell
        self._seats: list[Seat] = []
        self._connected = False

    def workers(
        self, cells: Sequence[Cell], store: Store, jobs: int | None, pulse: Path | None = None
    ) -> Sequence[Seat]:
        """A seat per share of a GPU or, on the CPU, per cores for a cell's threads, on every node in turn."""
        setting = cells[0].setting
        if setting.device == "cpu" and self._share != 1:
            raise UsageError(f"--gpus-per-cell {self._share:g}: these cells run on the CPU")
        if jobs == 0:
            raise UsageError("--jobs 0 runs cells in this process; leave out --engine ray")
        self._connect()
        demand = _demand(setting, self._share)
        shared = Shared(store, setting)
        by_node = [_seats(node, demand, setting, shared) for node in nodes()]
        seats = [seat for seat in chain.from_iterable(zip_longest(*by_node)) if seat is not None]
        if not seats:
            wanted = " and ".join(f"{n:g} {name}" for name, n in demand.items())
            raise UsageError(f"no node of the Ray cluster has room for a cell, which takes {wanted}")
        self._seats = seats[: min(len(cells), jobs or len(seats))]
        return self._seats

    def _connect(self) -> None:
        import ray

        if ray.is_initialized():  # from Python, in a program that uses Ray
            return
        check_reachable(self._address)
        try:
            ray.init(self._address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise unreachable(self._address, str(error)) from None
        self._connected = True

    def close(self) -> None:
        """End all actors, those that are busy too, and leave the cluster as it was."""
        if not self._seats and not self._connected:
            return
        import ray

        if farewells := [word for seat in self._seats if (word := seat.farewell()) is not None]:
            with suppress(ray.exceptions.RayError):
                ray.wait(farewells, num_returns=len(farewells), timeout=FAREWELL)
        for seat in self._seats:
            seat.kill()
        if self._connected:
            ray.shutdown()
        self._seats, self._connected = [], False


def _demand(setting: Setting, share: float) -> dict[str, float]:
    """What a cell takes of a node, in Ray's words."""
    return {"CPU": setting.threads} if setting.device == "cpu" else {"CPU": 1, "GPU": share}


def _seats(
    node: Mapping[str, Any], demand: Mapping[str, float], setting: Setting, shared: Shared
) -> list[Seat]:
    has = node["Resources"]
    if setting.device == "cpu":
        # they share the node's memory
        count = beside = int(has.get("CPU", 0) / demand["CPU"] + 1e-9)
    else:
        # no share lies on two GPUs; and a time is shared if its GPU is
        beside = int(1 / demand["GPU"] + 1e-9)
        count = min(int(has.get("CPU", 0)), int(has.get("GPU", 0)) * beside)
    return [Seat(node["NodeID"], node["NodeManagerAddress"], demand, beside, shared) for _ in range(count)]
