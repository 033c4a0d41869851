"""The engine that needs nothing: processes of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mubench.api.engine import engine
from mubench.planning.cell import Cell
from mubench.planning.device import default_jobs
from mubench.running.engine import Worker
from mubench.running.executor import local_workers
from mubench.storage.store import Store


@engine("local")
class Local:
    """Processes of this machine, as many as have cores for their threads, one on a GPU; the default."""

    def workers(
        self, cells: Sequence[Cell], store: Store, jobs: int | None, pulse: Path | None = None
    ) -> Sequence[Worker]:
        """`jobs` processes; for 0, children of this very process, which keep its terminal."""
        setting = cells[0].setting
        count = default_jobs(setting.device, setting.threads) if jobs is None else jobs
        return local_workers(cells, store, count, pulse)

    def close(self) -> None:
        """Nothing is held."""
