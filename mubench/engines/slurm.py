"""SLURM, by submitit: a job per cell. The store lies where all nodes see it under the same path."""

from __future__ import annotations

import shutil
import socket
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from mubench.api.engine import engine
from mubench.errors import UsageError, need_package
from mubench.planning.cell import CELL, Cell
from mubench.running.engine import GoneError
from mubench.running.machine import difference, facts, facts_apart
from mubench.running.outcome import REPLY, Reply, Status, one_line
from mubench.running.process import WorkerProcess
from mubench.storage.inventory import JOBS
from mubench.storage.store import Store

# Jobs that wait or run at once unless --jobs says otherwise; SLURM decides which of them run.
AT_ONCE = 100
# Cores of a job whose cell computes on a GPU.
CORES = 4
# Seconds between looks for a job's result, and between questions to SLURM how all jobs are.
TICK, ASK = 0.5, 30.0


@engine("slurm")
class Slurm:
    """SLURM by submitit: a job per cell, on a store that lies on a file system of all nodes.

    partition, account, qos, constraint: as of sbatch; a constraint can hold jobs to one kind of processor.
    minutes, memory_gb: limits of a job; a memory of 0 leaves the partition's own. setup: a shell command
    before each job, such as `module load cuda`. cluster: local tries it out with processes of this machine.
    """

    def __init__(
        self,
        *,
        partition: str = "",
        account: str = "",
        qos: str = "",
        constraint: str = "",
        minutes: int = 240,
        memory_gb: int = 0,
        setup: str = "",
        cluster: Literal["slurm", "local"] = "slurm",
    ) -> None:
        if minutes < 1:
            raise UsageError(f"--engine slurm: minutes = {minutes}: a job needs at least 1")
        if memory_gb < 0:
            raise UsageError(f"--engine slurm: memory_gb = {memory_gb}: give 1 or more, or 0 for no limit")
        need_package("submitit", "--engine slurm", "slurm")
        if cluster == "slurm" and not (shutil.which("sbatch") and shutil.which("srun")):
            raise UsageError(
                "--engine slurm: there is no sbatch and srun here; start this where jobs are submitted"
            )
        self._cluster, self._minutes, self._memory, self._setup = cluster, minutes, memory_gb, setup
        words = {"partition": partition, "account": account, "qos": qos, "constraint": constraint}
        self._words = {f"slurm_{name}": value for name, value in words.items() if value}
        self._folder: Path | None = None

    def workers(
        self, cells: Sequence[Cell], store: Store, jobs: int | None, pulse: Path | None = None
    ) -> Sequence[_Submitter]:
        """Submitters, each of which has one job at a time; `AT_ONCE` of them unless `jobs` says otherwise."""
        if jobs == 0:
            raise UsageError("--jobs 0 runs cells in this process; leave out --engine slurm")
        setting = cells[0].setting
        self._folder = store.root / JOBS / uuid.uuid4().hex[:12]
        executor = self._executor(self._folder, setting.device, setting.threads)
        queue = _Jobs(executor, store, facts(setting.device))
        return [_Submitter(queue) for _ in range(min(jobs or AT_ONCE, len(cells)))]

    def _executor(self, folder: Path, device: str, threads: int) -> Any:
        import submitit

        executor = submitit.AutoExecutor(folder, cluster=self._cluster)
        executor.update_parameters(
            name="mubench",
            timeout_min=self._minutes,
            cpus_per_task=threads if device == "cpu" else CORES,
            gpus_per_node=int(device == "cuda"),
            **({"mem_gb": self._memory} if self._memory else {}),
            **({f"{self._cluster}_setup": [self._setup]} if self._setup else {}),
            **(self._words if self._cluster == "slurm" else {}),
        )
        return executor

    def close(self) -> None:
        """Remove what submitit wrote; the cells' own logs are in the store."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def run_cell(words: bytes, root: str, ours: Mapping[str, Any]) -> bytes:
    """In a job: run a cell that came as JSON on the store in this folder; the reply as JSON.

    ours: `running.machine.facts` of the machine that planned.
    """
    cell = CELL.validate_json(words)
    if differs := difference(facts_apart(cell.setting.device), ours):
        reason = f"node {socket.gethostname()} would make other numbers: {differs}"
        return REPLY.dump_json(Reply(Status.FAILED, one_line(reason)))
    worker = WorkerProcess(Store(Path(root)), 1, cell.setting.device)
    try:
        return REPLY.dump_json(worker.run(cell))
    finally:
        worker.close()


class _Jobs:
    """What the submitters share: submitit's executor, one at a time, and how often SLURM is asked."""

    def __init__(self, executor: Any, store: Store, ours: Mapping[str, Any]) -> None:
        self.executor, self.store, self._ours = executor, store, ours
        self._guard, self._asked = threading.Lock(), time.monotonic()

    def submit(self, cell: Cell) -> Any:
        """A job for this cell."""
        with self._guard:
            words = CELL.dump_json(cell, by_alias=True)
            return self.executor.submit(run_cell, words, str(self.store.root), self._ours)

    def is_done(self, job: Any) -> bool:
        """Whether it has ended: there is a result, or SLURM, which is asked about all at once, says so."""
        with self._guard:
            if ask := time.monotonic() - self._asked > ASK:
                self._asked = time.monotonic()
            return bool(job.done(force_check=ask))


class _Submitter:
    """Runs a cell as a job and waits for it."""

    def __init__(self, jobs: _Jobs) -> None:
        self._jobs, self._closed = jobs, threading.Event()
        self._job: Any = None

    def ready(self) -> None:
        """It always is, until it is closed."""
        if self._closed.is_set():
            raise GoneError("interrupted")

    def run(self, cell: Cell) -> Reply:
        """Submit the cell and wait for its end; LOST where the job ended without an answer."""
        self._job = job = self._jobs.submit(cell)
        while not self._jobs.is_done(job):
            if self._closed.wait(TICK):
                return Reply(Status.FAILED, "interrupted")
        self._job = None
        try:
            return REPLY.validate_json(job.result())
        except Exception as error:  # submitit's own kinds, and those of a job that could not start
            lines = [line for line in str(error).splitlines() if line.strip()]
            state = one_line(str(job.state))
            last = one_line(lines[-1] if lines else type(error).__name__)
            return Reply(Status.LOST, f"job {job.job_id} ended ({state}) without an answer: {last}")

    def close(self) -> None:
        """Cancel the job, if there is one."""
        self._closed.set()
        if self._job is not None:
            with suppress(Exception):  # it has ended meanwhile
                self._job.cancel(check=False)
