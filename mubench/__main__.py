"""`python -m mubench` is `mubench`."""

from mubench.cli import main

main()
