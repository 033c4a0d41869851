"""The words of `mubench completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

# Where a user of the shell puts the line that loads the script.
_HINTS = {
    "bash": '# In ~/.bashrc: eval "$(mubench completion bash)"',
    "zsh": '# In ~/.zshrc, after compinit: eval "$(mubench completion zsh)"',
    "fish": "# Once: mubench completion fish > ~/.config/fish/completions/mubench.fish",
}


@click.command("completion")
@click.argument("shell", type=click.Choice(tuple(_HINTS)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands and options."""
    script = get_completion_class(shell)
    if script is None:
        raise click.UsageError(f"this version of click completes nothing in {shell}")
    group = ctx.find_root().command
    # the hint comes last: zsh wants its own comment in the first line
    click.echo(f"{script(group, {}, 'mubench', '_MUBENCH_COMPLETE').source().strip()}\n{_HINTS[shell]}")
