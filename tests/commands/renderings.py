"""What the tests of `mubench render` share: the tiny suite, and what a folder of results holds."""

from click.testing import CliRunner
from suites import BLOBS

from mubench.cli import main

SUITE = """
seeds = [0, 1]
methods = { Retrain = {}, FT = { epochs = 1 }, GA = { epochs = 1 } }
tuning = "by hand."
"""
# All of a small suite, with one seed and few rows.
TINY = BLOBS.replace('["Retrain"]', "{ FT = { epochs = 1 }, GA = { epochs = 1 } }")
FILES = ("table.md", "table.tex", "table-standalone.tex", "table.csv", "cells.csv", "manifest.json")


def invoke(*words):
    result = CliRunner().invoke(main, list(map(str, words)), catch_exceptions=False)
    return result.exit_code, result.output


def content(folder, names=FILES):
    return {name: (folder / name).read_bytes() for name in names}
