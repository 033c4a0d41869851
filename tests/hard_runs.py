"""Real runs of a small suite, to be killed, starved and abused, and the table they must end with."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from suites import DIGITS as SUITE

RECORDS = 4  # the original; Retrain, Original and FT


class Run:
    """Runs in a folder of their own: `start` and `kill` a real one, `finish` one in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store, self.out = folder, folder / "store", folder / "out"
        (folder / "tiny.toml").write_text(SUITE, encoding="utf-8")

    def knows(self, other: "Run") -> "Run":
        """Spare it reading the methods' files and the data, which takes seconds."""
        for part in ("specs", "data"):
            shutil.copytree(other.store / part, self.store / part)
        return self

    def words(self, *words: str) -> list[str]:
        """The words of a run; the last of two options of one name counts."""
        places = ["--store", str(self.store), "--out", str(self.out)]
        return ["run", "--suite", str(self.folder / "tiny.toml"), *places, *map(str, words)]

    def start(self, *words: str, limit: int | None = None, **env: str) -> subprocess.Popen[str]:
        """A run in a process group of its own; limit: bytes of memory for it and for each worker."""

        def prepare() -> None:
            # a shell starts what runs in its background with Ctrl-C ignored, and children inherit that
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            if limit is not None:
                import resource

                resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

        return subprocess.Popen(
            [sys.executable, "-P", "-m", "mubench", *self.words(*words)],
            cwd=self.folder,
            env={**os.environ, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=prepare,
        )

    def finish(self, *words: str) -> tuple[int, str, str]:
        """The same run in this process, without pictures: (exit code, stdout, stderr)."""
        from mubench.cli import main

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mubench.reporting.results.write_plots", lambda *_: [])
            found = CliRunner().invoke(main, self.words("--jobs", "0", *words), catch_exceptions=False)
        return found.exit_code, found.stdout, found.stderr

    def records(self) -> list[Path]:
        """The folders of the records that there are."""
        return [p.parent for p in (self.store / "records").glob("*/*/record.json")]

    def log(self, message: str) -> str:
        """The log of the first cell that `message` sends the user to by `mubench show record`."""
        key = re.search("mubench show record ([0-9a-f]{12})", message).group(1)
        (path,) = (self.store / "logs").glob(f"{key}*.log")
        return path.read_text()

    def cells(self) -> pd.DataFrame:
        """The numbers of every cell but times."""
        return pd.read_csv(self.out / "cells.csv").drop(columns=["rte", "rte_shared"])

    def logits(self) -> dict[str, bytes]:
        """Cell key -> all its outputs, byte for byte."""
        return {p.name: (p / "outputs.safetensors").read_bytes() for p in self.records()}

    def assert_like(self, other: "Run") -> None:
        """The same table and the same outputs, bit for bit except for times."""
        pd.testing.assert_frame_equal(self.cells(), other.cells(), check_exact=True)
        assert self.logits() == other.logits()
        assert not [p for p in self.store.rglob("*.tmp") if "records" in p.parts]


def wait_for(condition, seconds: float = 90.0):
    """The first true value of `condition()`; AssertionError after `seconds`."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)
    return found


def is_running(pid: int) -> bool:
    """Whether there is such a process, a dead one that nobody has buried yet not counted."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
