"""The command line: translates words into requests, and errors into lines and exit codes.

Every file of this folder is one command, under `command`; `mubench.commands` does what it asks for. All are
loaded for `mubench --help`, so a file imports what is heavy inside its function. The first sentence of a
command's docstring is its line in the help, cut after 66 characters.
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
import sys
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import click

import mubench
from mubench.commands.console import print_any_character
from mubench.commands.messages import LOG, messages
from mubench.errors import UsageError, printable

# An ending process need not look for garbage: among all that pandas and torch have made it takes 0.25 s.
atexit.register(gc.freeze)

INTERRUPTED = 130  # a shell's exit code for Ctrl-C


class _Refused(click.ClickException):
    """One line on stderr and exit code 2."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class _Commands(click.Group):
    """Turns wrong usage into one line and exit code 2, and Ctrl-C into exit code 130."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        print_any_character()
        try:
            return super().make_context(*args, **extra)
        except click.NoSuchOption as error:  # click's own takes four lines for it
            raise _Refused(error.format_message()) from error

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UsageError as error:
            LOG.debug("refused here:", exc_info=error)
            raise _Refused(str(error)) from error
        except click.UsageError as error:
            raise _Refused(error.format_message()) from error
        except KeyboardInterrupt as interrupt:
            fallback = "Interrupted: what was finished is saved. The same command goes on from there."
            click.echo(str(interrupt) or fallback, err=True)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(INTERRUPTED)  # taking torch apart in good order can take longer than a person waits
        except BrokenPipeError:  # `mubench list methods | head`
            raise
        except OSError as error:  # a full disk, a vanished folder: what is in the store stays
            where = f"{error.filename}: " if error.filename else ""
            raise _Refused(f"{where}{error.strerror or error}; what was finished is in the store") from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(mubench.__version__, prog_name="mubench")
def main() -> None:
    """How close does machine unlearning come to retraining, at what cost, and is it real?"""
    click.get_current_context().with_resource(messages())


def _speak_up_to(_: click.Context, option: click.Parameter, given: bool) -> None:
    if given:
        LOG.setLevel(logging.WARNING if option.name == "quiet" else logging.DEBUG)


def _add_manners(command: click.Command) -> None:
    """Give a command, or all that it holds, the options that every command has."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _add_manners(inner)
        return
    for letter, name, words in (
        ("-q", "--quiet", "Say nothing but results, warnings and failures."),
        ("-v", "--verbose", "Say more: how each step went, and what libraries warn of."),
    ):
        command.params.append(
            click.Option([letter, name], is_flag=True, help=words, expose_value=False, callback=_speak_up_to)
        )


for _file in iter_modules(__path__):
    _command = import_module(f"{__name__}.{_file.name}").command
    _add_manners(_command)
    main.add_command(_command)
