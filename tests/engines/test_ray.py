"""A real Ray cluster of two nodes on this machine: what is killed in mid-run, and the same table in the end.

Needs Ray, which the tests' extra does not hold, and a minute or two: `pip install -e '.[test,ray]'`.
"""

import os
import shutil
import signal
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install 'mubench[ray]'")

import ray
from hard_runs import Run, is_running, wait_for
from ray.cluster_utils import Cluster

from mubench.engines._cluster import nodes
from mubench.engines._seat import Seat, Shared
from mubench.engines.ray import _seats
from mubench.storage.store import Store

pytestmark = pytest.mark.slow

# Waits in the middle of its cell until a file "go" stands beside it, and says where it is.
SLOW = """
import os, time
from pathlib import Path
from mubench import method

HERE = Path("{folder}")

@method("slow", sees="forget")
def slow(model, task):
    worker = os.getppid()
    actor = int(Path(f"/proc/{{worker}}/stat").read_text().rpartition(")")[2].split()[1])
    mine = HERE / f"{{os.getpid()}}.tmp"
    mine.write_text(f"{{os.getpid()}} {{actor}} {{os.environ.get('RAY_RAYLET_PID', 0)}}")
    mine.rename(mine.with_suffix(".at"))
    while not (HERE / "go").exists():
        time.sleep(0.05)
    for p in model.parameters():
        p.data.mul_(0.9)
"""
SEEDS = "--set", "seeds=[0, 1]"
CELLS = 10  # for each seed the original; Retrain, Original, FT, slow


@pytest.fixture(scope="module")
def cluster():
    """Two nodes with room for a cell each."""
    with pytest.MonkeyPatch.context() as patch:
        home = tempfile.mkdtemp(prefix="mb", dir="/tmp")  # sockets' paths must be short
        patch.setenv("RAY_TMPDIR", home)
        patch.setenv("TMPDIR", f"{home}/nodes")
        Path(home, "nodes").mkdir()
        patch.setenv("RAY_worker_niceness", "0")  # else they starve on a machine that has other work
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        made.add_node(num_cpus=1)
        yield made
        left = [p for p in Path(home, "nodes").glob("mubench-*/*") if p.suffix != ".lock"]
        made.shutdown()
        shutil.rmtree(home, ignore_errors=True)
    assert left == [], "the nodes keep what they were sent"


@pytest.fixture
def words(cluster, run):
    """The words of a run on the cluster, with the slow method."""
    plugin = run.folder / "slow.py"
    plugin.write_text(SLOW.format(folder=run.folder), encoding="utf-8")
    return ["--engine", "ray", "--address", cluster.address, "--plugin", str(plugin), *SEEDS]


def places(run, count):
    """(cell's, actor's, node's process) of cells that wait, when there are so many of them."""

    def found():
        alive = [p for f in run.folder.glob("*.at") for p in [[*map(int, f.read_text().split())]]]
        alive = [p for p in alive if is_running(p[0])]
        return alive if len(alive) == count else None

    return wait_for(found, 300)


def assert_like_local(run, tmp_path_factory):
    """The table and all outputs are those of the local engine."""
    local = Run(tmp_path_factory.mktemp("local"))
    (local.folder / "slow.py").write_text((run.folder / "slow.py").read_text(), encoding="utf-8")
    code, _, said = local.finish("--plugin", str(local.folder / "slow.py"), *SEEDS)
    assert code == 0, said
    assert len(run.records()) == CELLS
    run.assert_like(local)


def test_ctrl_c_a_killed_worker_and_a_killed_node(run, words, cluster, tmp_path_factory):
    process = run.start(*words)
    waiting = places(run, 2)
    assert len({node for _, _, node in waiting}) == 2, "one cell on each node"

    started = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=120)

    assert process.returncode == 130, said
    assert time.monotonic() - started < 60
    assert "cells were finished and are saved" in said
    assert "Traceback" not in said
    wait_for(lambda: not any(is_running(pid) for pid, _, _ in waiting), 60)
    saved = {p.name: p.stat().st_mtime_ns for p in run.records()}
    assert len(saved) >= 2  # the originals at least

    process = run.start(*words)
    (pid, actor, _), _ = places(run, 2)
    os.kill(actor, signal.SIGKILL)
    wait_for(lambda: not is_running(pid), 60)
    node = next(iter(cluster.worker_nodes))
    raylet = node.all_processes["raylet"][0].process.pid
    dying = next(place for place in places(run, 2) if place[2] == raylet)
    cluster.remove_node(node, allow_graceful=False)
    wait_for(lambda: not is_running(dying[0]), 120)
    (run.folder / "go").touch()
    _, said = process.communicate(timeout=300)

    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert {n: t for n, t in ((p.name, p.stat().st_mtime_ns) for p in run.records()) if n in saved} == saved
    assert not list((run.store / "failures").glob("*"))
    assert_like_local(run, tmp_path_factory)


def test_a_node_that_would_make_other_numbers_takes_no_part(run, words, cluster, monkeypatch):
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    other = cluster.add_node(num_cpus=1)  # its processes inherit the variable, this run has it not
    monkeypatch.delenv("MKL_CBWR")
    try:
        process = run.start(*words, "--first-seeds", "1", "--methods", "slow")
        said = next(line for line in process.stderr if "left out" in line)
        (run.folder / "go").touch()
        process.communicate(timeout=300)
    finally:
        cluster.remove_node(other)

    assert process.returncode == 0
    why = "its processor environment MKL_CBWR is COMPATIBLE, here it is not set; it is left out\n"
    assert said.endswith(f"would make other numbers: {why}")
    assert len(run.records()) == 4
    assert not list((run.store / "failures").glob("*"))


def test_a_store_that_is_full_needs_no_cluster(run, words, tmp_path):
    (run.folder / "go").touch()
    few = ["--first-seeds", "1", "--methods", "slow"]
    code, _, said = run.finish("--plugin", words[words.index("--plugin") + 1], *SEEDS, *few)
    assert code == 0, said

    nowhere = ["--engine", "ray", "--address", "127.0.0.1:1", *words[4:], *few]
    process = run.start(*nowhere)
    _, said = process.communicate(timeout=120)

    assert process.returncode == 0, said
    assert "4 cells, 4 of them in the store" in said


def test_a_cluster_that_is_not_there_is_refused_in_one_line(run, words):
    process = run.start("--engine", "ray", "--address", "127.0.0.1:1", *words[4:])
    _, said = process.communicate(timeout=120)

    assert process.returncode == 2
    assert said.splitlines()[-1].startswith(
        "Error: no Ray cluster answers at 127.0.0.1:1 (Connection refused)"
    )


def test_cells_that_share_a_gpu_stand_side_by_side_and_no_more_of_them(cluster, tmp_path):
    """Ray counts the GPUs that it is told of, so that this needs none; the actors are made for a CPU."""
    setting = SimpleNamespace(device="cpu", threads=1)
    node = cluster.add_node(num_cpus=4, num_gpus=1)
    ray.init(cluster.address, log_to_driver=False)
    try:
        cluster.wait_for_nodes()
        (about,) = (n for n in nodes() if n["Resources"].get("GPU"))
        shared, demand = Shared(Store(tmp_path / "store"), setting), {"CPU": 1, "GPU": 0.5}
        seats = _seats(about, demand, SimpleNamespace(device="cuda", threads=1), shared)
        further = Seat(about["NodeID"], "host", demand, 2, shared)
        assert len(seats) == 2

        for seat in seats:
            seat.ready()
        taken = ray.available_resources()
        waits = threading.Thread(target=further.ready)
        waits.start()
        waits.join(5.0)
        assert waits.is_alive(), "a third cell has no share of the GPU"
        seats[0].kill()
        waits.join(60.0)
        assert not waits.is_alive(), "it has the share of the one that ended"
        ray.get([seat.farewell() for seat in (seats[1], further)])
    finally:
        ray.shutdown()
        cluster.remove_node(node)

    assert taken.get("GPU", 0.0) == 0.0
