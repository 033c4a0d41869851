"""What the executor asks of an engine: workers, wherever they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from mubench.errors import UsageError
from mubench.planning.cell import Cell
from mubench.running.outcome import Reply
from mubench.storage.store import Store


class GoneError(UsageError):
    """A worker that will take no cell any more; the text says why."""


class Worker(Protocol):
    """Runs one cell at a time. A thread of its own calls `ready` and `run`; another one may call `close`."""

    def ready(self) -> None:
        """Wait until it can take a cell; GoneError if it never will."""

    def run(self, cell: Cell) -> Reply:
        """Run a cell to its end. Whatever happens to the worker is a reply; LOST lets others try the cell."""

    def close(self) -> None:
        """End it, and what it runs, soon; `run` and `ready` return then."""


class Engine(Protocol):
    """Supplies the workers of a run. Its options are the keyword-only arguments of its class."""

    def workers(
        self, cells: Sequence[Cell], store: Store, jobs: int | None, pulse: Path | None = None
    ) -> Sequence[Worker]:
        """Workers for these cells, whose records `store` takes: `jobs` of them, or as many as fit.

        pulse: a folder of this machine where cells may keep a line of how far they are, see `running.pulse`.

        UsageError, within seconds, where there can be none.
        """

    def close(self) -> None:
        """Let go of all that `workers` took hold of, when the run has ended."""
