"""What a run shows while cells run: bars on a terminal, lines into a pipe or a file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Protocol

from mubench.commands.console import DONE, LEFT
from mubench.commands.estimate import Forecast, duration
from mubench.errors import printable
from mubench.running.outcome import Outcome
from mubench.running.pulse import Pulse, read_pulses

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

# Without a terminal, cells that finish sooner than this many seconds after the last line get none.
PAUSE = 1.0
# Without a terminal, a line says how far the cells are if none was written for so many seconds.
SILENCE = 60.0
# Seconds between two looks at how far the cells are.
TICK = 0.5


class Display(Protocol):
    """Shows cells as they finish, and how far those are that run."""

    def finish(self, outcome: Outcome) -> None: ...

    def look(self, running: Mapping[str, Pulse]) -> None: ...


@dataclass(frozen=True)
class Shown:
    """finish: to call with each outcome. pulse: the folder where running cells say how far they are."""

    finish: Callable[[Outcome], None]
    pulse: Path


def _epoch(pulse: Pulse) -> str:
    """ ": epoch 3 of 10", ": epoch 3" where nobody knows of how many, or nothing before the first."""
    of = f" of {pulse.count}" if pulse.count else ""
    return f": epoch {pulse.epoch}{of}" if pulse.epoch else ""


def _left(seconds: float | None) -> str:
    return "" if seconds is None else f"about {duration(seconds)} left"


class Lines:
    """Writes a line per finished cell: "[12/80] FT, seed 3: 0.3 s; about 40 s left".

    At most a line per `PAUSE`, except that failures and the last cell always get one. After `SILENCE`, a line
    per running cell: "Retrain, seed 0: epoch 31 of 182, about 25 min left; of the run about 40 min left".
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
        self._last_line, self._start = -PAUSE, clock()

    def finish(self, outcome: Outcome) -> None:
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
        left = f"; {_left(seconds)}" if self._done < self._total and seconds is not None else ""
        self._write(f"[{self._done}/{self._total}] {self._names[outcome.cell.key]}: {ending}{left}")

    def look(self, running: Mapping[str, Pulse]) -> None:
        """Say how far the running cells are, if nothing was said for long."""
        if not running or self._clock() - max(self._last_line, self._start) < SILENCE:
            return
        self._last_line, now = self._clock(), time.time()
        whole = _left(self._forecast.seconds_left(running, now))
        for key, pulse in running.items():
            own = _left(self._forecast.left_of(key, pulse, now)) or f"{duration(now - pulse.started)} so far"
            text = f"{self._names[key]}{_epoch(pulse) or ': begun'}, {own}"
            self._write(f"{text}; of the run {whole}" if whole else text)


class Bars:
    """A bar for the run and, under it, one for each running cell."""

    def __init__(self, bars: Progress, names: Mapping[str, str], forecast: Forecast) -> None:
        """names: cell key -> what it is called; forecast: of all cells to run."""
        self._bars, self._names, self._forecast = bars, names, forecast
        self._total = forecast.cells_left
        self._run = bars.add_task("cells", total=self._total, done=f"0/{self._total}", left="")
        self._cells: dict[str, TaskID] = {}

    def finish(self, outcome: Outcome) -> None:
        """Move the bar of the run, which names the cell, and take away the cell's own."""
        self._forecast.finish(outcome.cell, outcome.seconds if outcome.status == "ok" else None)
        name, left = self._names[outcome.cell.key], _left(self._forecast.seconds_left())
        done = f"{self._total - self._forecast.cells_left}/{self._total}"
        self._bars.update(self._run, advance=1, description=name, done=done, left=left)
        if (bar := self._cells.pop(outcome.cell.key, None)) is not None:
            self._bars.remove_task(bar)

    def look(self, running: Mapping[str, Pulse]) -> None:
        """Show how far the running cells are."""
        now = time.time()
        if running:
            self._bars.update(self._run, left=_left(self._forecast.seconds_left(running, now)))
        for key, pulse in running.items():
            if key not in self._cells:
                self._cells[key] = self._bars.add_task("", done="", left="")
            own = _left(self._forecast.left_of(key, pulse, now)) or f"{duration(now - pulse.started)} so far"
            self._bars.update(
                self._cells[key],
                description=f"  {self._names[key]}{_epoch(pulse)}",
                total=pulse.count or 1,  # without a total the bar would pulse, in shades of its own
                completed=pulse.epoch - 1 if pulse.count else 0,
                left=own,
            )


@contextmanager
def progress(
    console: Console, names: Mapping[str, str], forecast: Forecast, watch: bool = True
) -> Iterator[Shown]:
    """Show a run as `Bars` on a terminal, else as `Lines`, until left.

    names: cell key -> what it is called, in one printable line. watch: also look at the cells while
    they run.
    """
    with (
        TemporaryDirectory(prefix="mubench-", ignore_cleanup_errors=True) as folder,
        _display(console, names, forecast) as display,
    ):
        guard, finished, over = threading.Lock(), set[str](), threading.Event()

        def finish(outcome: Outcome) -> None:
            with guard:
                finished.add(outcome.cell.key)
                display.finish(outcome)

        def look() -> None:
            while not over.wait(TICK):
                pulses = read_pulses(Path(folder))
                with guard:
                    display.look({key: p for key, p in pulses.items() if key not in finished})

        watcher = threading.Thread(target=look, daemon=True)
        if watch:
            watcher.start()
        try:
            yield Shown(finish, Path(folder))
        finally:
            over.set()
            if watch:
                watcher.join()


@contextmanager
def _display(console: Console, names: Mapping[str, str], forecast: Forecast) -> Iterator[Display]:
    if not console.is_terminal or console.quiet:
        yield Lines(console.print, names, forecast)
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(style=LEFT, complete_style=DONE, finished_style=DONE),
        TextColumn("{task.fields[done]}", markup=False),
        TextColumn("{task.fields[left]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        yield Bars(bars, names, forecast)
