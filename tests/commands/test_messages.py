"""What is said on stderr: at which level, with which options, in which colours."""

import logging
import re
import warnings

import click
import pytest
from click.testing import CliRunner

import mubench.cli
from mubench.commands.console import ERROR, WARNING, make_console
from mubench.commands.messages import LOG, messages, messages_of_mubench

FAILING = """
@method("Mine", sees="forget", cite="N")
def mine(model, task):
    1 / 0
"""


def every_command(command, *words):
    """Words of a command -> the command, of all that are no groups."""
    if not isinstance(command, click.Group):
        return {words: command}
    return {k: v for name, c in command.commands.items() for k, v in every_command(c, *words, name).items()}


def test_every_command_can_be_quiet_and_verbose():
    commands = every_command(mubench.cli.main)

    assert ("run",) in commands
    for words, command in commands.items():
        assert {"--quiet", "-q", "--verbose", "-v"} <= {o for p in command.params for o in p.opts}, words
        result = CliRunner().invoke(mubench.cli.main, [*words, "--help"])
        assert result.exit_code == 0
        assert "-q, --quiet" in result.output


def test_a_quiet_run_says_its_table_and_no_more(run):
    code, out, err = run("-q", change='methods = ["FT"]')

    assert (code, err) == (0, "")
    assert "FT" in out


def test_a_quiet_run_says_what_failed(run, plugin_file):
    code, _, err = run("-q", "--plugin", plugin_file(FAILING))

    assert code == 1
    (line,) = err.splitlines()
    assert line.startswith("Mine failed at seed 0: ZeroDivisionError")


def test_a_verbose_run_names_its_records(run, home):
    code, _, err = run("-v", change="methods = []")

    assert code == 0, err
    found = re.search(r"^mubench\.commands\.work: Retrain, seed 0: ok in .*, record (\w{12})$", err, re.M)
    assert found, err
    assert len(list((home / "store" / "records").rglob(f"{found[1]}*"))) == 1


def test_a_verbose_refusal_shows_where_it_came_from(call):
    code, _, short = call("show", "method", "Nobody")
    assert (code, "Traceback" in short) == (2, False)

    assert "Traceback" in call("show", "method", "Nobody", "-v")[2]


@pytest.mark.parametrize("verbose", [False, True])
def test_libraries_are_heard_with_verbose_or_when_they_fail(capsys, verbose):
    library = logging.getLogger("somebodys.library")
    with messages():
        LOG.setLevel(logging.DEBUG if verbose else logging.INFO)
        library.info("chatter")
        library.warning("a warning")
        library.error("an error")
        warnings.warn_explicit("odd", UserWarning, "/x/site-packages/lib/code.py", 3)
        warnings.warn_explicit("own", UserWarning, f"{mubench.cli.__file__}", 4)
        warnings.warn_explicit("yours", UserWarning, "/home/me/mine.py", 5)
    shown = capsys.readouterr().err

    assert "chatter" not in shown
    assert "an error" in shown
    assert ("a warning" in shown) == verbose
    assert ("UserWarning: odd (/x/site-packages/lib/code.py, line 3)" in shown) == verbose
    assert "\nown\n" in shown
    assert "UserWarning: yours (/home/me/mine.py, line 5)" in shown


def test_nothing_is_left_behind(capsys):
    before = (logging.getLogger().handlers[:], LOG.level, warnings.showwarning)
    with messages(), messages_of_mubench(logging.DEBUG):
        pass

    assert (logging.getLogger().handlers, LOG.level, warnings.showwarning) == before


def test_a_callers_own_handler_takes_the_place_of_ours(capsys):
    heard = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())
    LOG.addHandler(handler)
    try:
        with messages_of_mubench(logging.INFO):
            LOG.error("once")
    finally:
        LOG.removeHandler(handler)

    assert heard == ["once"]
    assert capsys.readouterr().err == ""


def test_colours_are_the_terminals_own_and_stand_out_on_light_and_dark(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLORTERM", "truecolor")
    for style in (WARNING, ERROR):
        make_console(stderr=True).print("text", style=style)
    groups = re.findall(r"\x1b\[([\d;]*)m", capsys.readouterr().err)

    # red and magenta; no white, yellow or black, and no fixed shade
    assert set(groups) - {"0"} == {"31", "35"}
