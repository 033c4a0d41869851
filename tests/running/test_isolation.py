"""Work in a forked child: what it replies, how it dies, and that nothing of it remains."""

import gc
import os
import signal
import time

import pytest

from mubench.running import isolation, timing
from mubench.running.isolation import ChildDiedError, run_forked
from mubench.running.outcome import one_line

pytestmark = pytest.mark.skipif(not isolation.CAN_FORK, reason="needs os.fork")
STATE = {"touched": False}


def test_the_reply_comes_back_and_what_the_child_changed_does_not():
    def work():
        STATE["touched"] = True
        os.environ["TOUCHED"] = "1"
        return str(os.getpid()).encode()

    assert int(run_forked(work)) != os.getpid()
    assert STATE == {"touched": False}
    assert "TOUCHED" not in os.environ


def test_a_child_does_not_search_its_parents_objects_for_garbage_and_the_parent_goes_on():
    kept = [[] for _ in range(1000)]

    in_child = run_forked(lambda: f"{gc.get_freeze_count()} {gc.isenabled()}".encode()).split()

    assert int(in_child[0]) > len(kept)
    assert in_child[1] == b"True"
    assert (gc.get_freeze_count(), gc.isenabled()) == (0, True)


def test_what_the_child_prints_is_handed_over_and_its_input_is_empty():
    printed = []

    def work():
        os.write(1, b"read %r" % os.read(0, 10))
        os.write(2, b"x" * 100_000)
        return b"done"

    assert run_forked(work, output=printed.append) == b"done"
    assert b"".join(printed) == b"read b''" + b"x" * 100_000


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (lambda: os._exit(7), "exit code 7"),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), "signal SIGTERM"),
        (lambda: time.sleep(60), "stopped after the timeout of 0.3 s"),
        (lambda: (os.closerange(3, 200), time.sleep(60)), "closed its files and went on"),
        (lambda: 1 / 0, "exit code 1"),
    ],
    ids=["exits", "is killed", "hangs", "closes its files", "raises"],
)
def test_a_child_that_does_not_reply_is_ended_and_says_how(monkeypatch, body, reason):
    monkeypatch.setattr(isolation, "GRACE", 0.1)
    limit = {"timeout": 0.3} if "timeout" in reason else {"timeout": 30}

    with pytest.raises(ChildDiedError, match=reason) as death:
        run_forked(body, output=lambda _: None, **limit)

    assert death.value.late == ("timeout" in reason)


def test_a_dead_child_is_noticed_though_its_own_child_holds_the_pipe():
    def work():
        if os.fork() == 0:
            time.sleep(60)
        os._exit(3)

    with pytest.raises(ChildDiedError, match="exit code 3"):
        run_forked(work, timeout=30)


def test_a_child_of_the_child_that_comes_back_says_nothing():
    def work():
        if os.fork():
            os.wait()
            return b"parent"
        return b"child"

    assert run_forked(work, timeout=30) == b"parent"


def test_the_end_of_the_lifeline_ends_the_child_too(tmp_path):
    reading, writing = os.pipe()

    def work():
        (tmp_path / "pid").write_text(str(os.getpid()))
        os.write(1, b"ready")
        time.sleep(60)

    with pytest.raises(SystemExit):
        run_forked(
            work,
            output=lambda text: os.close(writing) if text else None,
            lifeline=reading,
            private=(reading, writing),
        )
    os.close(reading)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("two\nlines\tand a tab", "two lines and a tab"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("caf\udce9", "caf\\udce9"),
        ("ümlaut × 2", "ümlaut × 2"),
        ("y" * 600, "y" * 497 + "..."),
    ],
)
def test_a_reason_is_one_clean_line(text, clean):
    assert one_line(text) == clean
    assert one_line(clean) == clean


@pytest.fixture
def clocks(monkeypatch):
    """`clocks(queued, busy, wall)`: what one timed piece of work seems to take, in seconds."""

    def fake(queued, busy, wall):
        values = {"_queued": (0.0, queued), "process_time": (0.0, busy), "perf_counter": (0.0, wall)}
        for name, (start, end) in values.items():
            readings = iter((start if queued is not None or name != "_queued" else None, end))
            monkeypatch.setattr(timing, name, lambda readings=readings: next(readings))

    return fake


@pytest.mark.parametrize(
    ("queued", "busy", "shared"),
    [
        (0.0, 10.0, False),
        (0.4, 9.6, False),
        (0.6, 9.4, True),
        (0.0, 0.1, False),  # it slept
        (None, 9.9, False),
        (None, 5.0, True),
        (None, 19.0, False),  # several threads
    ],
)
def test_work_was_shared_if_it_waited_for_a_processor(clocks, queued, busy, shared):
    import torch

    clocks(queued, busy, 10.0)
    measured = timing.timed(lambda: "result", torch.device("cpu"), jobs=2)

    assert (measured.result, measured.seconds, measured.peak) == ("result", 10.0, None)
    assert measured.shared is shared


@pytest.mark.skipif(timing._queued() is None, reason="this system does not count the wait for a processor")
def test_two_that_compete_for_one_processor_notice_it():
    import torch

    def burn():
        until = time.perf_counter() + 0.5
        while time.perf_counter() < until:
            pass

    def work():
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        other = os.fork()
        if other == 0:
            burn()
            os._exit(0)
        shared = timing.timed(burn, torch.device("cpu"), jobs=1).shared
        os.waitpid(other, 0)
        return str(shared).encode()

    assert run_forked(work) == b"True"
