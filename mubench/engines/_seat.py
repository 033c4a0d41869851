"""A worker on one node of a Ray cluster: an actor that owns a `Place`, and what all of them share."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mubench.engines._cluster import nodes
from mubench.engines._parcel import needs, read
from mubench.engines._place import Answer, Place
from mubench.errors import printable
from mubench.planning.cell import CELL, Cell, Setting
from mubench.planning.timing_key import timing_facts
from mubench.running.engine import GoneError
from mubench.running.machine import difference, facts
from mubench.running.outcome import REPLY, Reply, Status, one_line
from mubench.running.worker import claimed
from mubench.storage.files import key_of, write_atomic
from mubench.storage.store import Store, UnwritableError

LOG = logging.getLogger(__name__)

# How often a thread that waits for a node looks whether the run has ended, in seconds.
TICK = 0.2
# Seconds that an actor may take to start before somebody is told.
LONG = 60.0


class Shared:
    """What the seats of a run have in common: the store, this machine's facts, what was sent already."""

    def __init__(self, store: Store, setting: Setting) -> None:
        self.store, self.device, self.facts = store, setting.device, facts(setting.device)
        self.run = uuid.uuid4().hex
        self._sent: dict[str, Any] = {}
        self._guard = threading.Lock()
        self._told: set[str] = set()

    def parcel(self, path: str, source: Path) -> Any:
        """A reference to a folder in Ray's object store, which gets it once."""
        import ray

        with self._guard:
            if path not in self._sent:
                self._sent[path] = ray.put(read(source))
            return self._sent[path]

    def tell(self, text: str) -> None:
        """Warn of a node, once."""
        with self._guard:
            if text not in self._told:
                self._told.add(text)
                LOG.warning("%s", text)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of this process that decide numbers: actors get them too."""
        names = ("ATEN_CPU_CAPABILITY", *self.facts["processor"]["environment"])
        return {name: os.environ[name] for name in names if name in os.environ}


class Seat:
    """A worker on one node. Its actor is started when it is needed, and again if it died."""

    def __init__(
        self, node: str, address: str, demand: Mapping[str, float], beside: int, shared: Shared
    ) -> None:
        """beside: places that share the memory of the node, or one GPU."""
        self._node, self._name, self._demand, self._beside = node, address, demand, beside
        self._shared, self._closed = shared, threading.Event()
        self._actor: Any = None

    def _get(self, reference: Any, slow: str = "") -> Any:
        """What a reference stands for; GoneError if the run ends first. slow: to be said if it takes long."""
        import ray

        started = time.monotonic()
        while not ray.wait([reference], timeout=TICK)[0]:
            if self._closed.is_set():
                raise GoneError("interrupted")
            if slow and time.monotonic() - started > LONG:
                self._shared.tell(slow)
        return ray.get(reference)

    def _start(self) -> Any:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        environment = self._shared.environment
        return (
            ray.remote(Place)
            .options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(self._node, soft=False),
                num_cpus=self._demand["CPU"],
                num_gpus=self._demand.get("GPU", 0),
                max_concurrency=2,  # it can be closed while it runs a cell
                **({"runtime_env": {"env_vars": environment}} if environment else {}),
            )
            .remote(self._shared.run, self._beside, self._shared.device)
        )

    def ready(self) -> None:
        """Have an actor on a node that is like this machine."""
        import ray

        if self._actor is not None:
            return
        if self._node not in {n["NodeID"] for n in nodes()}:
            raise GoneError(f"node {self._name} is gone")
        self._actor = self._start()
        try:
            waits = f"node {self._name} has no room for all its cells yet; waiting for it"
            about = self._get(self._actor.facts.remote(), waits)
        except ray.exceptions.RayError as error:
            self._leave(f"node {self._name} cannot run cells: {_last_line(error)}")
        self._name = f"{about['name']} ({self._name})"
        if differs := difference(about["facts"], self._shared.facts):
            self._leave(f"node {self._name} would make other numbers: {differs}")

    def _leave(self, reason: str) -> None:
        self.kill()
        self._shared.tell(f"{one_line(reason)}; it is left out")
        raise GoneError(one_line(reason))

    def run(self, cell: Cell) -> Reply:
        """Send what the cell needs, run it there, and take its record."""
        import ray

        with claimed(cell, self._shared.store) as others:
            if others is not None:
                return others
            try:
                answer = self._answer(cell)
            except GoneError:
                return Reply(Status.FAILED, "interrupted")
            except ray.exceptions.RayTaskError as error:  # of our own code there, such as a full disk
                return Reply(Status.LOST, f"on node {self._name}: {_last_line(error)}")
            except ray.exceptions.RayError as error:
                self.kill()
                died = f"the worker on node {self._name} died: {_last_line(error)}"
                return Reply(Status.LOST, one_line(died))
            return self._keep(cell, answer)

    def _answer(self, cell: Cell) -> Answer:
        wanted = needs(cell, self._shared.store)
        lacking = self._get(self._actor.lacks.remote(list(wanted)))
        for path in lacking:
            self._get(self._actor.take.remote(path, self._shared.parcel(path, wanted[path])))
        answer: Answer = self._get(self._actor.run.remote(CELL.dump_json(cell, by_alias=True)))
        return answer

    def _keep(self, cell: Cell, answer: Answer) -> Reply:
        words, files, log, timing = answer
        store = self._shared.store
        if log:
            with suppress(OSError):
                write_atomic(store.log_file(cell.key), log)
        reply = REPLY.validate_json(words)
        if reply.status in (Status.LOST, Status.UNSAVED):  # it is the node that has no room
            return Reply(Status.LOST, f"on node {self._name}: {reply.reason}")
        if not files:
            return reply
        try:
            store.adopt(cell.key, files)
        except UnwritableError as error:
            return Reply(Status.UNSAVED, str(error))
        except ValueError as error:
            return Reply(Status.LOST, f"from node {self._name}: {error}")
        if timing is not None:
            store.save_json("timings", key_of(timing_facts(cell.setting, cell)), timing)
        return reply

    def close(self) -> None:
        """Let waiting threads return; the engine ends the actor."""
        self._closed.set()

    def farewell(self) -> Any:
        """Ask the actor to end itself; a reference to wait for, or None."""
        return None if self._actor is None else self._actor.close.remote()

    def kill(self) -> None:
        """End the actor, if there is one."""
        import ray

        if self._actor is not None:
            with suppress(Exception):  # it is dead already, or Ray is
                ray.kill(self._actor)
            self._actor = None


def _last_line(error: BaseException) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return printable(lines[-1].strip()) if lines else type(error).__name__
