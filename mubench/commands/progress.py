"""Progress of long work: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mubench.commands.estimate import Forecast, duration
from mubench.errors import printable
from mubench.running.executor import Outcome

if TYPE_CHECKING:
    from rich.console import Console

# Without a terminal, cells that finish sooner than this many seconds after the last line get none.
PAUSE = 1.0


class Lines:
    """Writes a line per finished cell: "[12/80] FT, seed 3: 0.3 s; about 40 s left".

    At most a line per `PAUSE`, except that failures and the last cell always get one.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        names: Mapping[str, str],
        forecast: Forecast,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """names: cell key -> what it is called; forecast: of all cells to run; clock: seconds."""
        self._write, self._names, self._forecast, self._clock = write, names, forecast, clock
        self._done, self._total = 0, forecast.cells_left
        self._last_line = -PAUSE

    def __call__(self, outcome: Outcome) -> None:
        """Count a finished cell and write its line."""
        self._done += 1
        self._forecast.finish(outcome.cell, outcome.seconds if outcome.status == "ok" else None)
        now, failed = self._clock(), outcome.status == "failed"
        if not failed and self._done < self._total and now - self._last_line < PAUSE:
            return
        self._last_line = now
        ending = {
            "failed": f"FAILED: {printable(outcome.reason)}",
            "cached": "finished by another run",
        }.get(outcome.status, duration(outcome.seconds))
        seconds = self._forecast.seconds_left()
        left = f"; about {duration(seconds)} left" if self._done < self._total and seconds is not None else ""
        self._write(f"[{self._done}/{self._total}] {self._names[outcome.cell.key]}: {ending}{left}")


@contextmanager
def progress(
    console: Console, names: Mapping[str, str], forecast: Forecast
) -> Iterator[Callable[[Outcome], None]]:
    """A function to call with each outcome: it moves a bar on a terminal, else it writes `Lines`.

    names: cell key -> what it is called, in one printable line.
    """
    if not console.is_terminal:
        yield Lines(console.print, names, forecast)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("training", total=forecast.cells_left, left="")

        def advance(outcome: Outcome) -> None:
            forecast.finish(outcome.cell, outcome.seconds if outcome.status == "ok" else None)
            seconds = forecast.seconds_left()
            left = "" if seconds is None else f"about {duration(seconds)} left"
            bar.update(task, advance=1, description=names[outcome.cell.key], left=left)

        yield advance
