"""Progress of long work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mubench.running.outcome import Outcome

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Callable[[Outcome], None]]:
    """A bar with the time left, on a terminal only."""
    if not console.is_terminal:
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("training", total=total)

        def advance(outcome: Outcome) -> None:
            name = outcome.cell.spec.name if outcome.cell.spec else "original model"
            bar.update(task, advance=1, description=f"{name}, seed {outcome.cell.seed}")

        yield advance
