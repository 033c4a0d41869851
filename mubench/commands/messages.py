"""Messages: what the program says while it works, through `logging`, as plain lines on stderr.

Results go to stdout and are no messages. A failure is an error, what may surprise a warning, the rest
information; -v adds how things went, and what libraries warn of.
"""

from __future__ import annotations

import logging
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mubench.commands.console import ERROR, WARNING, make_console

if TYPE_CHECKING:
    from rich.console import Console

LOG = logging.getLogger("mubench")
LIBRARIES = logging.getLogger("py.warnings")
_PACKAGE = Path(__file__).parents[1]
_STDLIB = Path(sysconfig.get_path("stdlib"))
_STYLES = {logging.WARNING: WARNING, logging.ERROR: ERROR}


def working_console() -> Console:
    """A console on stderr for what shows that work goes on: silent where information is (--quiet)."""
    console = make_console(stderr=True)
    console.quiet = not LOG.isEnabledFor(logging.INFO)
    return console


class _Printer(logging.Handler):
    """Prints records of mubench, and of libraries what is an error or, with -v, a warning."""

    def filter(self, record: logging.LogRecord) -> bool:
        own = record.name.partition(".")[0] == LOG.name
        least = logging.WARNING if LOG.isEnabledFor(logging.DEBUG) else logging.ERROR
        return own or record.levelno >= least

    def emit(self, record: logging.LogRecord) -> None:
        try:
            where = "" if record.levelno >= logging.INFO else f"{record.name}: "
            make_console(stderr=True).print(
                f"{where}{self.format(record)}", style=_STYLES.get(record.levelno)
            )
        except Exception:
            self.handleError(record)


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any
) -> None:
    """Take the place of `warnings.showwarning`: a library's warning is for -v, others are for all."""
    path = Path(filename)
    installed = {"site-packages", "dist-packages"} & set(path.parts) or path.is_relative_to(_STDLIB)
    if path.is_relative_to(_PACKAGE):
        LOG.warning("%s", message)
    elif installed:
        LIBRARIES.warning("%s: %s (%s, line %d)", category.__name__, message, path, lineno)
    else:
        LOG.warning("%s: %s (%s, line %d)", category.__name__, message, path, lineno)


@contextmanager
def messages() -> Iterator[None]:
    """Print messages of level INFO and above, and what libraries say of errors, until left."""
    with _printing(logging.getLogger()):
        shown, warnings.showwarning = warnings.showwarning, _show_warning
        try:
            yield
        finally:
            warnings.showwarning = shown


@contextmanager
def messages_of_mubench(level: int) -> Iterator[None]:
    """Print messages of mubench of this level and above, unless the caller's own logging does."""
    root = logging.getLogger()
    if LOG.handlers or (root.handlers and root.level <= level):
        yield
        return
    with _printing(LOG, level):
        yield


@contextmanager
def _printing(logger: logging.Logger, level: int = logging.INFO) -> Iterator[None]:
    printer, before = _Printer(), LOG.level
    logger.addHandler(printer)
    LOG.setLevel(level)
    try:
        yield
    finally:
        logger.removeHandler(printer)
        LOG.setLevel(before)
