"""SLURM by submitit: real jobs of its local executor, and the script that a made-up sbatch is given."""

import os
import signal
import time

import pytest

pytest.importorskip("submitit", reason="submitit is not installed: pip install 'mubench[slurm]'")

from hard_runs import wait_for

from mubench.engines.slurm import Slurm, run_cell
from mubench.planning.cell import CELL
from mubench.running.executor import execute, run_on
from mubench.running.machine import facts
from mubench.running.outcome import REPLY
from mubench.storage.store import Store

# sbatch takes the job and keeps its script; sacct says that the node broke.
COMMANDS = {
    "sbatch": 'cp "$1" {home}/script.$$ && echo $$ >> {home}/jobs && echo "Submitted batch job $$"',
    "srun": "exit 1",
    "sacct": 'echo "JobID|State|NodeList"; while read j; do echo "$j|NODE_FAIL|n1"; done < {home}/jobs',
    "scancel": 'echo "$@" >> {home}/cancelled',
}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """The commands of a SLURM whose nodes break."""
    home = tmp_path / "slurm"
    home.mkdir()
    for name, text in COMMANDS.items():
        (home / name).write_text(f"#!/bin/sh\n{text.format(home=home)}\n", encoding="utf-8")
        (home / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}:{os.environ['PATH']}")
    monkeypatch.setattr("submitit.slurm.slurm.SlurmJob._results_timeout_s", 0)
    monkeypatch.setattr("mubench.engines.slurm.ASK", 0.0)
    return home


@pytest.fixture
def original(bench):
    """The cell of a suite's original."""
    return bench('dataset = "digits"\nbatch_size = 128\nmethods = []\nthreads = 2', dry=True).cells[0]


@pytest.mark.slow
def test_real_jobs_make_the_same_records_and_leave_nothing_behind(bench, home):
    plan = bench('dataset = "digits"\nbatch_size = 128\nmethods = ["Original"]\nfloor = false', dry=True)
    store, local = Store(home / "store"), Store(home / "local")
    cells = plan.missing(store)  # the original, Retrain and Original
    engine = Slurm(cluster="local")

    outcomes = run_on(engine.workers(cells, store, 2), cells, store)
    engine.close()

    assert [o.status for o in outcomes] == ["ok"] * 3
    execute(cells, local, 0)
    for cell in cells:
        assert store.get(cell.key).about["files"] == local.get(cell.key).about["files"]  # digests of arrays
    assert list((store.root / "jobs").iterdir()) == []


def test_the_script_asks_for_what_a_cell_takes_and_a_lost_job_is_tried_again(original, cluster, home):
    store = Store(home / "store")
    engine = Slurm(
        partition="gpu", account="us", constraint="h200", minutes=90, memory_gb=7, setup="module load x"
    )

    (outcome,) = run_on(engine.workers([original], store, None), [original], store)

    scripts = [p.read_text(encoding="utf-8").splitlines() for p in cluster.glob("script.*")]
    assert len(scripts) == 3
    asked = {line.removeprefix("#SBATCH --") for line in scripts[0] if line.startswith("#SBATCH --")}
    wanted = {"partition=gpu", "account=us", "constraint=h200", "time=90", "mem=7GB", "cpus-per-task=2"}
    assert wanted <= asked
    assert not any(word.startswith("qos") for word in asked)
    assert "module load x" in scripts[0]
    (start,) = (line for line in scripts[0] if line.startswith("srun "))
    assert scripts[0].index("module load x") < scripts[0].index(start)
    assert outcome.reason.startswith("tried 3 times: job ")
    assert "ended (NODE_FAIL) without an answer" in outcome.reason
    engine.close()
    assert list((store.root / "jobs").iterdir()) == []


def test_ctrl_c_cancels_the_jobs(original, cluster, home, monkeypatch):
    (cluster / "sacct").write_text("#!/bin/sh\necho 'JobID|State|NodeList'\n", encoding="utf-8")
    store = Store(home / "store")
    workers = Slurm().workers([original], store, None)
    monkeypatch.setattr("mubench.engines.slurm._Jobs.is_done", interrupt_after(0.3))

    with pytest.raises(KeyboardInterrupt):
        run_on(workers, [original], store)

    job = (cluster / "jobs").read_text().strip()
    wait_for(lambda: (cluster / "cancelled").exists(), 10)
    assert (cluster / "cancelled").read_text().strip() == job


def interrupt_after(seconds):
    """In place of `is_done`: the user presses Ctrl-C while the job goes on."""
    started = time.monotonic()
    pressed = []

    def is_done(self, job):
        if not pressed and time.monotonic() - started > seconds:
            pressed.append(os.kill(os.getpid(), signal.SIGINT))
        return False

    return is_done


def test_a_node_that_would_make_other_numbers_fails_the_cell(original, home):
    other = {**facts("cpu"), "torch": "1.0"}

    reply = REPLY.validate_json(run_cell(CELL.dump_json(original, by_alias=True), str(home / "store"), other))

    assert reply.status == "failed"
    assert "would make other numbers: its torch is " in reply.reason
    assert reply.reason.endswith("here it is 1.0")
