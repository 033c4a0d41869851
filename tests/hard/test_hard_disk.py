"""A disk that is full, in the middle of a run or when its results are written."""

import re
import subprocess

import pytest
from hard_runs import RECORDS

pytestmark = pytest.mark.slow


def _mount(folder, *options):
    return subprocess.run(["mount", *options, folder], capture_output=True, text=True, check=False)


@pytest.fixture
def disk(tmp_path):
    """`disk(name, size)`: a folder that holds no more than this; `disk(name, size)` again: more room."""
    mounted = []

    def make(name, size):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        how = (
            ["-o", f"remount,size={size}"]
            if folder in mounted
            else ["-t", "tmpfs", "-o", f"size={size}", "mubench"]
        )
        done = _mount(str(folder), *how)
        if done.returncode:
            pytest.skip(f"cannot mount a small disk here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield make
    for folder in set(mounted):
        subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.mark.parametrize("size", ["500k", "800k"])
def test_a_full_store_ends_the_run_and_more_room_gives_the_same_table(run, undisturbed, disk, size):
    run.store = disk("store", size)
    run.knows(undisturbed)
    process = run.start("--jobs", "2")
    out, said = process.communicate(timeout=120)

    assert process.returncode == 2
    assert out == ""
    error = said.splitlines()[-1]
    assert error.startswith(f"Error: the store {run.store} cannot be written: No space left on device")
    assert "what was finished is saved" in error
    assert "the same command goes on" in error
    assert said.count("Error") == 1
    assert "Traceback" not in said
    assert len(run.records()) < RECORDS

    disk("store", "20m")
    saved = {p.name: p.stat().st_mtime_ns for p in run.records()}
    code, _, said = run.finish()

    assert code == 0, said
    assert saved.items() <= {p.name: p.stat().st_mtime_ns for p in run.records()}.items()
    assert "damaged" not in said
    run.assert_like(undisturbed)


def test_a_store_that_is_full_from_the_start(run, undisturbed, disk):
    run.store = disk("store", "64k")
    (run.store / "ballast").write_bytes(bytes(60 * 1024))

    code, out, said = run.finish()

    assert (code, out) == (2, "")
    assert "No space left on device" in said
    assert str(run.store) in said
    assert len(said.splitlines()) == 1
    (run.store / "ballast").unlink()
    disk("store", "20m")
    assert run.finish()[0] == 0
    run.assert_like(undisturbed)


def test_a_full_output_folder_costs_nothing_but_the_files(run, undisturbed, disk):
    run.store = undisturbed.store
    run.out = disk("out", "8k")

    code, out, said = run.finish()

    assert code == 2
    assert re.search(r"^ *FT .*\d", out, re.MULTILINE), "the table is shown all the same"
    assert said.splitlines()[-1] == (
        f"Error: the output folder {run.out} cannot be written: No space left on device"
    )
    assert "Traceback" not in said
    assert not list(run.out.glob(".*"))
    disk("out", "20m")
    assert run.finish()[0] == 0
    for name in ("table.md", "table.tex", "table.csv", "cells.csv"):
        assert (run.out / name).read_bytes() == (undisturbed.out / name).read_bytes()
