"""The queue and workers that are lost, slow to come, or gone, without any process."""

import threading
from types import SimpleNamespace

import pytest

from mubench.errors import UsageError
from mubench.running.engine import GoneError
from mubench.running.executor import RETRIES, run_on
from mubench.running.outcome import Reply, Status
from mubench.storage.store import Store


class Scripted:
    """A worker that gives these answers, then OK. left: how often it is ready before it is gone."""

    def __init__(self, answers=(), left=1000):
        self.answers, self.left, self.ran, self.closed = list(answers), left, [], threading.Event()

    def ready(self):
        self.left -= 1
        if self.left < 0:
            raise GoneError("its machine burns")

    def run(self, cell):
        self.ran.append(cell.key)
        return self.answers.pop(0) if self.answers else Reply(Status.OK)

    def close(self):
        self.closed.set()


class Late(Scripted):
    """A worker whose machine never comes."""

    def ready(self):
        assert self.closed.wait(30), "it was never closed"
        raise GoneError("interrupted")


LOST = Reply(Status.LOST, "the node burns")


@pytest.fixture
def cells():
    """The original, Retrain, which does without, and Original, which needs it: what a queue looks at."""
    original, retrain, untouched = (f"{k}" * 64 for k in range(3))
    return [
        SimpleNamespace(key=original, original="", spec=None),
        SimpleNamespace(key=retrain, original="", spec=SimpleNamespace(name="Retrain")),
        SimpleNamespace(key=untouched, original=original, spec=SimpleNamespace(name="Original")),
    ]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def kinds(cells):
    return {c.key: c.spec.name if c.spec else "" for c in cells}


def test_originals_first_and_methods_as_soon_as_theirs_is_there(cells, store):
    worker = Scripted()

    outcomes = run_on([worker], cells, store)

    assert [kinds(cells)[key] for key in worker.ran] == ["", "Retrain", "Original"]
    assert [o.status for o in outcomes] == ["ok"] * 3


def test_a_cell_whose_worker_was_lost_is_tried_twice_more(cells, store):
    worker = Scripted([LOST, LOST])

    outcomes = run_on([worker], cells, store)

    assert worker.ran[:3] == [cells[0].key] * 3
    assert [o.status for o in outcomes] == ["ok"] * 3


def test_after_that_it_has_failed_with_the_reason_and_so_have_those_that_need_it(cells, store):
    worker = Scripted([LOST] * (1 + RETRIES))

    outcomes = {kinds(cells)[o.cell.key]: o for o in run_on([worker], cells, store)}

    assert outcomes[""].reason == "tried 3 times: the node burns"
    assert store.failure(cells[0].key) == "tried 3 times: the node burns"
    assert outcomes["Original"].reason == "its original model failed: tried 3 times: the node burns"
    assert outcomes["Retrain"].status == "ok"


def test_another_worker_takes_the_cell_of_one_that_is_gone(cells, store):
    dying, other = Scripted([LOST], left=1), Scripted()

    outcomes = run_on([dying, other], cells, store)

    assert sorted(o.status for o in outcomes) == ["ok"] * 3
    assert len(dying.ran) == 1
    assert dying.ran[0] in other.ran


def test_a_run_whose_workers_are_all_gone_says_why_and_how_to_go_on(cells, store):
    workers = [Scripted(left=1), Scripted([LOST], left=1)]

    with pytest.raises(
        UsageError, match=r"^no worker is left for \d cells: its machine burns; what was finished"
    ):
        run_on(workers, cells, store)

    assert not store.failure(cells[-1].key)


def test_a_run_does_not_wait_for_a_machine_that_is_not_needed(cells, store):
    late = Late()

    assert [o.status for o in run_on([Scripted(), late], cells, store)] == ["ok"] * 3
    assert late.closed.is_set()
