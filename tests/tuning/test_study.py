"""A study: which trials there are, in which order, and what becomes of them."""

import sqlite3

import numpy as np
import optuna
import pytest
from studies import SPEC, drawn, finish, gap, opened, tell

from mubench.api.method import MethodSpec
from mubench.api.parameter import choice
from mubench.errors import UsageError
from mubench.tuning.outcome import importances
from mubench.tuning.score import Score
from mubench.tuning.storage import open_storage


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/tuning.db"


def test_the_first_trials_fill_the_space(tmp_path):
    study = opened(8)
    batch = [one.trial.parameters for one in study.ask()]
    rates = np.log10([p["lr"] for p in batch])

    assert len(batch) == 8
    assert {p["rho"] for p in batch} == {0.1, 0.5, 0.9}
    assert min(np.histogram(rates, [-4, -3, -2, -1])[0]) >= 2
    assert all(p["epochs"] == 5 for p in batch), "what the suite sets stays"
    assert all(p["lr"] == float(f"{p['lr']:.3g}") for p in batch)


def test_later_trials_come_in_small_batches_and_lie_where_scores_are_good():
    study = opened(32)

    assert finish(study) == [8, 4, 4, 4, 4, 4, 4]
    first, last = ([gap(p) for p in part] for part in (drawn(study)[:8], drawn(study)[-8:]))
    assert np.median(last) < np.median(first) / 2
    assert study.best().score == min(map(gap, drawn(study)))


def test_a_batch_does_not_draw_one_point_again_and_again():
    study = opened(16)
    tell(study, study.ask())

    assert len({tuple(one.trial.parameters.items()) for one in study.ask()}) == 4


def test_a_longer_search_keeps_the_trials_of_a_shorter_one():
    short, long, odd = opened(12), opened(24), opened(10)
    for study in (short, long, odd):
        finish(study)

    assert drawn(long)[:12] == drawn(short)
    assert drawn(long)[:10] == drawn(odd)
    assert len(drawn(long)) == 24
    assert drawn(short) == drawn(opened_and_finished(12))


def opened_and_finished(count, storage=None):
    study = opened(count, storage)
    finish(study)
    return study


def test_a_stored_search_goes_on_where_it_ended(url):
    first = opened_and_finished(12, open_storage(url))
    again = opened_and_finished(12, open_storage(url))
    longer = opened_and_finished(24, open_storage(url))

    assert drawn(again) == drawn(first) == drawn(opened_and_finished(12))
    assert drawn(longer) == drawn(opened_and_finished(24))
    assert opened(12, open_storage(url)).done() == first.done(), "a shorter one looks at its own trials alone"
    assert opened(24, open_storage(url)).best() == longer.best()


def test_two_workers_share_the_trials_of_a_study(url):
    one, other = (opened(20, open_storage(url)) for _ in range(2))
    sizes = []
    for _ in range(4):
        batches = [one.ask(), other.ask()]
        numbers = [[running.optuna.number for running in batch] for batch in batches]
        sizes.append([len(batch) for batch in batches])
        assert not set(numbers[0]) & set(numbers[1]) or sum(map(len, numbers)) == 0
        for study, batch in zip((one, other), batches, strict=True):
            tell(study, batch)

    assert sizes == [[8, 4], [4, 4], [0, 0], [0, 0]]
    assert [d.number for d in one.done()] == list(range(20))
    assert len({tuple(p.items()) for p in drawn(one)}) > 17


def test_trials_that_a_killed_process_left_are_run_at_last(url):
    left = [one.trial for one in opened(12, open_storage(url)).ask()]

    study = opened(12, open_storage(url))
    assert [one.trial.row for one in study.ask()] == ["X #8", "X #9", "X #10", "X #11"]
    taken = opened(12, open_storage(url)).ask()
    assert [one.trial for one in taken[:8]] == left
    tell(study, taken)

    assert len(study.done()) == 12
    assert study.ask() == []


def test_a_trial_that_two_processes_took_is_told_once(url):
    opened(4, open_storage(url)).ask()
    one, other = (opened(4, open_storage(url)) for _ in range(2))
    mine, its = one.ask(), other.ask()
    tell(one, mine)
    tell(other, its)

    assert [d.score for d in other.done()] == [gap(p) for p in drawn(one)]


def test_hopeless_trials_are_given_up_and_count():
    study = opened(24)
    finish(study)
    states = [d.state for d in study.done()]

    assert states[:8] == ["complete"] * 8, "there is nothing to compare the first ones with"
    assert 0 < states.count("pruned") < 12
    worst = max(gap(d.parameters) for d in study.done() if d.state == "complete" and d.number >= 8)
    assert all(d.score == gap(d.parameters) for d in study.done())
    assert min(gap(d.parameters) for d in study.done() if d.state == "pruned") > study.best().score
    assert worst < max(map(gap, drawn(study)))


def test_a_failed_trial_counts_is_never_the_best_and_is_not_drawn_again():
    study = opened(24)
    failing = []
    while batch := study.ask():
        for one in batch:
            bad = one.trial.parameters["lr"] > 3e-3
            failing.append(bad)
            study.finish(one, Score(None, reason="no") if bad else Score(gap(one.trial.parameters)))

    failed = [d for d in study.done() if d.state == "failed"]
    assert len(failed) == sum(failing)
    assert all(d.score is None and not d.means for d in failed)
    assert study.best().parameters["lr"] <= 3e-3
    assert sum(failing[12:]) / 12 < sum(failing[:8]) / 8 + 0.2


def test_a_search_in_which_all_failed_has_no_best():
    study = opened(2)
    for one in study.ask():
        study.finish(one, Score(None, reason="no"))

    assert study.best() is None
    assert importances(study) == {}


def test_a_parameter_with_one_value_is_no_search():
    spec = MethodSpec(name="Y", function="y", search={"fail": choice(False)})
    study = opened(2, spec=spec)
    finish(study, of=lambda _: 1.0)

    assert drawn(study) == [{"epochs": 5, "fail": False}] * 2


@pytest.mark.parametrize("space", [3, {"log": [1]}, {"choices": []}, {}])
def test_a_range_that_is_none_is_refused(space):
    spec = MethodSpec(name="Y", function="y", search={"lr": space})

    with pytest.raises(UsageError, match="method 'Y': the search space of 'lr' is neither"):
        opened(2, spec=spec)


def test_importance_finds_the_parameter_that_decides():
    study = opened(32)
    finish(study, of=lambda p: 10 * abs(p["rho"] - 0.5))

    shares = importances(study)
    assert next(iter(shares)) == "rho"
    assert sum(shares.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("update trial_params set param_value = 5.0 where param_name = 'lr'", "trial 0 .* outside"),
        ("delete from trial_params where param_name = 'lr'", "trial 0 .* outside the search space"),
        ("update trial_params set param_name = 'x\x1b[2J' where param_name = 'lr'", r"x\\x1b\[2J"),
        ('update trial_user_attributes set value_json = \'{"ua": "a"}\'', "trial 0 .* numbers that are"),
        ("update trial_user_attributes set value_json = '[1]'", "trial 0 .* numbers that are"),
        ("update trials set state = 'x\x1b[2J'", "the study tiny, X in --storage: "),
    ],
)
def test_what_another_hand_wrote_into_a_shared_study_is_refused_in_one_line(url, change, message):
    opened_and_finished(2, open_storage(url))
    with sqlite3.connect(url.removeprefix("sqlite:///")) as base:
        base.execute(change)
    base.close()

    with pytest.raises(UsageError, match=message) as refused:
        opened(2, open_storage(url)).done()
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("tuning.db", "Could not parse SQLAlchemy URL"),
        ("foo://x/y", "foo"),
        ("sqlite:////no/such/folder/x.db", "unable to open database file"),
        ("redis://x", "Redis"),
        ("mysql+nosuch://me:secret@h/db", "nosuch"),
    ],
)
def test_a_storage_that_cannot_be_used_is_refused_in_one_line_without_its_password(url, reason):
    with pytest.raises(UsageError, match=f"--storage .* cannot be used: .*{reason}") as refused:
        open_storage(url)

    assert "secret" not in str(refused.value)
    assert str(refused.value).isprintable()


def test_a_trial_that_a_person_put_in_line_runs_first(url):
    study = opened(4, open_storage(url))
    study.study.enqueue_trial({"lr": 0.02})
    finish(study)

    assert len(study.done()) == 4
    assert drawn(study)[0]["lr"] == 0.02
    assert drawn(study)[0]["rho"] in (0.1, 0.5, 0.9)


def test_other_programs_of_optuna_can_read_the_study(url):
    study = opened_and_finished(8, open_storage(url))

    seen = optuna.load_study(study_name="tiny, X", storage=url)
    assert seen.best_value == study.best().score
    assert len(seen.trials) == 8
    assert SPEC.search.keys() == seen.best_params.keys()
