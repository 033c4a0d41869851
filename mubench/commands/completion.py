"""What a shell completes beside commands and options."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem


def complete_suite(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of suites that begin so, and after them files, among which may be a suite's."""
    from mubench.discovery.suites import suite_files

    names = [CompletionItem(name) for name in suite_files() if name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="file")]
