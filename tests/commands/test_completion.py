"""`mubench completion`: scripts that shells accept, and what they complete."""

import shutil
import subprocess

import pytest
from click.shell_completion import ShellComplete

from mubench.cli import main


def completed(words, incomplete):
    complete = ShellComplete(main, {}, "mubench", "_MUBENCH_COMPLETE")
    return [item.value for item in complete.get_completions(words, incomplete)]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_that_the_shell_can_read(call, tmp_path, shell):
    code, out, _ = call("completion", shell)

    assert code == 0
    assert f"_MUBENCH_COMPLETE={shell}_complete" in out
    if shell == "zsh":
        assert out.startswith("#compdef mubench\n")
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here to read it")
    script = tmp_path / "script"
    script.write_text(out, encoding="utf-8")
    subprocess.run([shell, "-n", script], check=True)


def test_a_shell_that_nobody_wrote_a_script_for(call):
    code, _, err = call("completion", "csh")

    assert code == 2
    assert err.splitlines()[-1].endswith("'csh' is not one of 'bash', 'zsh', 'fish'.")


@pytest.mark.parametrize(
    ("words", "incomplete", "found"),
    [
        ([], "comp", ["compare", "completion"]),
        (["run"], "--dry", ["--dry-run"]),
        (["run", "--suite"], "digits-random-1", ["digits-random-10"]),
        (["render"], "digits-cl", ["digits-class-3"]),
        (["render", "--style"], "c", ["compact"]),
    ],
)
def test_what_is_completed(words, incomplete, found):
    assert completed(words, incomplete) == found


def test_where_no_suite_begins_so_files_are_offered():
    complete = ShellComplete(main, {}, "mubench", "_MUBENCH_COMPLETE")

    assert [item.type for item in complete.get_completions(["run", "--suite"], "./my")] == ["file"]
