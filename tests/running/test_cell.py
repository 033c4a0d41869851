"""One cell after another: methods that fail, what is timed, and who waits for whom."""

import math
import os
import random
import signal
import threading
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mubench.api.cost import Ledger
from mubench.api.task import Task
from mubench.api.training import train as api_train
from mubench.planning.cell import CELL
from mubench.planning.timing_key import timing_facts
from mubench.running import bench as benches
from mubench.running.executor import execute
from mubench.storage.files import key_of
from mubench.storage.store import Store

# A model that is as it should be until it is looked at closely.
LAZY = """class Lazy(nn.Module):
        def forward(self, x):
            return {}
    return Lazy()"""
FAILING = {
    "raises": (
        "raise ValueError('no luck\\nat all')",
        "ValueError: no luck (mine.py, line 8)",
    ),
    "loses": ("raise MemoryError", "MemoryError (mine.py, line 8)"),
    "fills": (
        "raise torch.OutOfMemoryError('CUDA out of memory. Tried')",
        "OutOfMemoryError: CUDA out of memory. Tried (mine.py, line 8); "
        "lower batch_size (now 32) or take a smaller model",
    ),
    "exits": ("sys.exit('bye')", "SystemExit: bye (mine.py, line 8)"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt (mine.py, line 8)"),
    "nan": (
        "model.head.bias.data[0] = float('nan')",
        "FloatingPointError: head.bias holds NaN or infinite values after unlearning",
    ),
    "buffer": (
        "model.backbone[1].running_var.fill_(float('inf'))",
        "FloatingPointError: backbone.1.running_var holds NaN or infinite values after unlearning",
    ),
    "wide": (
        "model.head = nn.Linear(model.head.in_features, 4)",
        "ValueError: the unlearned model returns 4 logits, not 3",
    ),
    "diverges": (
        "model.head.weight.data.fill_(3e38)",
        "FloatingPointError: the unlearned model's logits on the forget set are not finite",
    ),
    "lazily not finite": (
        LAZY.format("torch.where(torch.arange(len(x))[:, None] == 3, float('nan'), torch.zeros(len(x), 3))"),
        "FloatingPointError: the unlearned model's logits on the forget set are not finite",
    ),
    "lazily wide": (
        LAZY.format("torch.zeros(len(x), 3 if len(x) > 60 else 4)"),
        "ValueError: the unlearned model returns 4 logits, not 3",
    ),
    "too few rows": (
        LAZY.format("torch.zeros(1, 3)"),
        "ValueError: the model returns (1, 3) logits for 22 images",
    ),
    "unprintable": (
        "raise OSError(2, 'no \\x1b[31m file', 'caf\\udce9.txt')",
        r"FileNotFoundError: [Errno 2] no \x1b[31m file: 'caf\udce9.txt' (mine.py, line 8)",
    ),
    "endless": ("raise ValueError('x' * 10_000)", f"ValueError: {'x' * 385}... (mine.py, line 8)"),
    "dies": ("os._exit(7)", "its process ended by itself with exit code 7"),
    "is killed": (
        "os.kill(os.getpid(), 9)",
        "its process was ended by signal SIGKILL; was the memory exhausted?",
    ),
    "chatters": (
        # into the pipe of which it has both ends, not into those of who runs the tests
        "here = '/proc/self/fd/'\n"
        "    links = {int(f): os.readlink(here + f) for f in os.listdir(here) if os.path.lexists(here + f)}\n"
        "    pipes = [link for link in links.values() if link[:4] == 'pipe']\n"
        "    both = [fd for fd, link in links.items() if pipes.count(link) == 2]\n"
        "    os.write(max(both), b'\\xff garbage\\n')",
        "its process sent no readable reply; does the method write into files that it did not open?",
    ),
    "string": ("return 'model'", "TypeError: the method returned str, not a module (or nothing)"),
    "notes": ("task.log(model=model)", "TypeError: Object of type Classifier is not JSON serializable"),
    "peeks": (
        "task.retain",
        "PermissionError: Mine reads task.retain without declaring it: "
        "@method('Mine', sees=...) must name 'retain' (mine.py, line 8)",
    ),
}
BODY = """@method("Mine", sees="forget")
def mine(model, task):
    {}
"""


@pytest.fixture
def mine(bench, plugin_file):
    """`mine(body, change="")`: a run with a method of this body -> (record or None, outcome, plan, store)."""

    def run(body, change="", **options):
        path = plugin_file(BODY.format(body))
        plan, outcomes, store = bench(change, plugins=[path], **options)
        key = plan.rows[-1].keys[plan.suite.seeds[0]]
        return store.get(key), outcomes["Mine", plan.suite.seeds[0], "unlearn"], plan, store

    return run


@pytest.mark.parametrize("name", FAILING)
def test_a_method_that_fails_says_why_and_leaves_no_record(mine, name):
    body, reason = FAILING[name]

    record, outcome, plan, store = mine(body)

    assert (outcome.status, outcome.reason) == ("failed", reason)
    assert record is None
    assert store.failure(outcome.cell.key) == reason
    assert store.get(plan.rows[0].keys[0]) is not None
    assert plan.missing(store) == [outcome.cell]


def test_a_failed_cell_is_tried_again_and_its_failure_forgotten(mine, home):
    flag = home / "flag"
    body = f"assert os.path.exists({str(flag)!r})"
    record, outcome, plan, store = mine(body)
    assert record is None
    assert outcome.reason.startswith("AssertionError")

    flag.touch()
    (again,) = execute(plan.missing(store), store, 0)

    assert (again.status, again.cell.key) == ("ok", outcome.cell.key)
    assert store.failure(outcome.cell.key) is None
    assert plan.missing(store) == []


def test_only_the_method_is_timed(mine):
    """Neither the evaluation, nor loading, nor the warm-up, nor what is only for the log."""
    body = "time.sleep(0.5)\nwith task.aside():\n    time.sleep(0.4)\n    model(torch.zeros(7, 1, 8, 8))"

    record, outcome, _, _ = mine(body.replace("\n", "\n    "))

    assert outcome.status == "ok", outcome.reason
    cost = record.about["cost"]
    assert 0.5 <= cost["seconds"] < 0.7
    assert (cost["forward"], cost["backward"], cost["read"]) == (0, 0, {"forget": 0, "retain": 0})


def test_a_task_keeps_only_the_sets_that_are_declared(bench):
    plan = bench('methods = ["FT"]', dry=True)
    given = {
        "num_classes": 3,
        "device": torch.device("cpu"),
        "rng": None,
        "recipe": None,
        "fresh": None,
        "ledger": Ledger(),
    }

    task = Task(plan.cells[-1].spec, {"forget": "D_f", "retain": "D_r", "test": "secret"}, **given)

    assert task.retain == "D_r"
    with pytest.raises(PermissionError, match=r"FT reads task\.forget without declaring it"):
        _ = task.forget
    assert "secret" not in str(vars(task))


def test_what_was_logged_is_kept_as_json(mine):
    body = "task.log(a=torch.ones(2), b=float('nan'), c={'d': (1, None)}, e=torch.tensor(2.5))"

    record, *_ = mine(body)

    assert record.about["notes"] == {"a": [1.0, 1.0], "b": "nan", "c": {"d": [1, None]}, "e": 2.5}


def test_a_returned_model_is_the_one_that_is_evaluated(mine):
    body = (
        "class Constant(nn.Module):\n"
        "        def forward(self, x):\n"
        "            return torch.tensor([0.0, 5.0, 1.0]).expand(len(x), 3)\n"
        "    return Constant()"
    )

    record, outcome, *_ = mine(body)

    assert outcome.status == "ok", outcome.reason
    found = record.outputs()
    assert (found.logits["test"] == [0, 5, 1]).all()
    assert found.features == {}


def test_a_method_gets_a_private_copy_of_the_original(mine, bench, keys):
    """The one ruins its model; the other's untouched one is still the original."""
    change = 'methods = ["Original", "FT"]\n'
    plan, _, clean = bench(change, store="clean")
    body = "model.head.weight.data.zero_()\n    model.head.bias.data.zero_()"

    record, _, ruined, store = mine(body, change)

    assert not record.outputs().logits["test"].any()
    for name in ("Original", "FT"):
        one, two = (s.get(keys(p)[name][0]).outputs() for p, s in ((plan, clean), (ruined, store)))
        assert np.array_equal(one.logits["test"], two.logits["test"])


def test_global_random_state_cannot_reach_a_result(mine, home):
    """Each cell starts from a state of its own, whatever ran before."""
    drawn = []
    for i in range(2):
        random.seed(i)
        np.random.seed(i)
        torch.manual_seed(i)
        body = (
            "import random\n    import numpy\n"
            "    task.log(x=[random.random(), numpy.random.rand(), torch.rand(1)])"
        )
        record, *_ = mine(body, store=f"store{i}")
        drawn.append(record.about["notes"]["x"])

    assert drawn[0] == drawn[1]


def test_if_the_original_fails_so_does_all_that_needs_it(bench):
    plan, outcomes, store = bench('methods = ["FT"]\nseeds = [0, 1]', tables=RUINOUS)

    alone = {o.reason for o in outcomes.values() if not o.cell.original}
    assert alone
    assert all("holds NaN or infinite" in r for r in alone)
    assert len(outcomes) == len(plan.cells) == 8
    for outcome in outcomes.values():
        assert outcome.status == "failed"
        assert store.failure(outcome.cell.key) == outcome.reason
        if outcome.cell.original:
            assert outcome.reason.startswith("its original model failed: FloatingPointError")


RUINOUS = """
[original]
epochs = 2
lr = 1e30
milestones = []
"""


def test_retrain_waits_for_no_original(bench):
    """All but the methods that start from an original can begin at once."""
    plan = bench('methods = ["FT"]\nseeds = [0, 1]\nfloor = 2', dry=True)

    ready = {cell.spec.name if cell.spec else "" for cell in plan.cells if not cell.original}

    assert ready == {"", "Retrain"}
    assert sum(not cell.original for cell in plan.cells) == 2 * (1 + 3)


def test_retrain_is_the_same_whether_or_not_the_original_is_there(bench, home):
    plan, _, store = bench('methods = ["FT"]')
    retrain = next(cell for cell in plan.cells if cell.spec and not cell.original)
    alone = Store(home / "alone")

    assert [o.status for o in execute([retrain], alone, jobs=0)] == ["ok"]

    for name, logits in store.get(retrain.key).outputs().logits.items():
        assert np.array_equal(alone.get(retrain.key).outputs().logits[name], logits)


def test_a_cell_that_another_run_works_on_is_waited_for(home, bench):
    plan = bench('methods = ["FT"]', dry=True)
    store = Store(home / "store")
    cell = plan.cells[0]
    held = threading.Event()

    def another_run():
        with store.lock(cell.key):
            held.set()
            time.sleep(0.3)

    thread = threading.Thread(target=another_run)
    thread.start()
    held.wait()
    outcomes = execute(plan.missing(store), store, 0)
    thread.join()

    assert {o.status for o in outcomes} == {"ok"}
    assert len(outcomes) == len(plan.cells)


def test_a_cell_finished_by_another_run_meanwhile_is_not_run_again(home, bench):
    plan = bench('methods = ["FT"]', dry=True)
    one, two = Store(home / "store"), Store(home / "store")
    missing = plan.missing(one)
    execute(missing, two, 0)
    before = {c.key: two.get(c.key).about["cost"] for c in missing}

    outcomes = execute(missing, one, 0)

    assert {o.status for o in outcomes} == {"cached"}
    assert {c.key: one.get(c.key).about["cost"] for c in missing} == before


def test_each_outcome_is_reported_once(home, bench):
    plan = bench('methods = ["FT"]', dry=True)
    store, reported = Store(home / "store"), []

    outcomes = execute(plan.missing(store), store, 0, reported.append)

    assert reported == outcomes
    assert sorted(o.cell.key for o in outcomes) == sorted(c.key for c in plan.cells)


def test_cells_whose_time_others_lengthened_are_run_again_for_exclusive_timing(bench, monkeypatch):
    monkeypatch.setattr("mubench.running.timing.DISTURBED", math.inf)  # whatever else this machine does
    plan, _, store = bench('methods = ["FT"]')
    key = plan.rows[-1].keys[0]
    about, arrays = store.get(key).about, store.get(key).outputs()
    shared = {**about, "cost": {**about["cost"], "shared": True}}
    parts = {f"logits.{n}": a for n, a in arrays.logits.items()}
    store.put(key, shared, parts | {f"labels.{n}": a for n, a in arrays.labels.items()})

    assert plan.missing(store) == []
    (open_,) = plan.missing(store, alone=True)
    assert open_.key == key
    assert execute([open_], store, 0)[0].status == "ok"
    assert store.get(key).about["cost"]["shared"] is False
    assert np.array_equal(store.get(key).outputs().logits["test"], arrays.logits["test"])


def test_cells_survive_the_way_to_another_process(bench):
    plan = bench('methods = ["FT", "SalUn"]\nfloor = true\nseeds = [0, 3]', dry=True)

    for cell in plan.cells:
        assert CELL.validate_json(CELL.dump_json(cell, by_alias=True)) == cell


@pytest.fixture
def interruptible():
    """Ctrl-C reaches this process, also where the tests were started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_users_interrupt_in_this_process_stops_the_run_and_is_no_failure(mine, home, interruptible):
    with pytest.raises(KeyboardInterrupt):
        mine("os.kill(os.getppid(), __import__('signal').SIGINT)\n    time.sleep(60)")

    assert not list((home / "store" / "failures").glob("*"))
    assert len(list((home / "store" / "records").glob("*/*"))) == 3  # the original, Retrain, Original


def test_an_original_whose_process_dies_once_is_trained_again(bench, home, monkeypatch):
    died = home / "died"

    def train(*arguments):
        if not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        api_train(*arguments)

    monkeypatch.setattr("mubench.running.cell.train", train)
    _, outcomes, _ = bench('methods = ["FT"]')

    assert died.exists()
    assert {o.status for o in outcomes.values()} == {"ok"}


def test_a_method_whose_process_dies_is_not_tried_again(mine, home):
    mark = str(home / "tries")
    _, outcome, *_ = mine(f"open({mark!r}, 'a').write('x')\n    os._exit(7)")

    assert outcome.status == "failed"
    assert (home / "tries").read_text() == "x"


def test_the_data_are_loaded_once_for_all_classes(bench, monkeypatch):
    loads, real = [], benches.load_dataset
    monkeypatch.setattr(benches, "load_dataset", lambda *a, **o: loads.append(a) or real(*a, **o))
    benches._load.cache_clear()

    plan, outcomes, _ = bench('forget = { scenario = "class", class = "all" }\nmethods = ["FT"]')

    assert len(plan.blocks) == 3
    assert {o.status for o in outcomes.values()} == {"ok"}
    assert len(loads) == 1


def test_a_record_says_how_much_of_the_original_the_method_changed(mine, keys):
    record, _, plan, store = mine("model.head.bias.data += 1", 'methods = ["Original", "FT"]')
    total = sum(t.numel() for t in load_file(store.get(keys(plan)[""][0]).weights).values())

    assert record.about["changed"] == 3 / total
    assert store.get(keys(plan)["Original"][0]).about["changed"] == 0.0
    assert store.get(keys(plan)["FT"][0]).about["changed"] > 0.9
    assert store.get(keys(plan)["Retrain"][0]).about["changed"] > 0.9


def test_times_are_kept_for_later_estimates_by_what_they_depend_on(bench):
    plan, _, store = bench('methods = ["FT"]')
    other_seed = bench('methods = ["FT"]\nseeds = [4]', dry=True)
    longer = bench('methods = ["FT"]', tables="[original]\nepochs = 9", dry=True)

    def times(plan):
        kept = [(c, store.cached_json("timings", key_of(timing_facts(c.setting, c)))) for c in plan.cells]
        return {(c.spec.name if c.spec else ""): value for c, value in kept}

    assert all(t["seconds"] > 0 for t in times(plan).values())
    trained = {name for name, t in times(plan).items() if t["images_per_second"] is not None}
    assert trained == {"", "Retrain"}
    assert times(other_seed) == times(plan)
    assert set(times(longer).values()) == {None}
