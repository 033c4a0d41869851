"""Amnesiac: wrong labels, drawn once, learned among the right ones."""

import torch

from mubench import Step, cross_entropy_loss
from mubench.methods import rl
from mubench.methods.amnesiac import amnesiac


def test_labels_are_drawn_once_and_are_wrong(lab, monkeypatch):
    bench, found = lab(n_f=12), []

    def spy(*args, draw=rl.random_labels):
        found.append(draw(*args))
        return found[-1]

    monkeypatch.setattr(rl, "random_labels", spy)

    bench.run(amnesiac, epochs=4)

    assert len(found) == 1
    assert (found[0] != bench.y("forget")).all()


def test_equals_a_loop_over_one_relabelled_set(lab, bits):
    def loop(model, task):
        away = torch.randint(1, 3, (len(task.forget),), generator=task.rng)
        wrong = (task.forget.labels + away) % 3
        fit = Step(model, cross_entropy_loss, 0.02)
        for _ in range(3):
            for x, y in task.forget.relabelled(wrong).joined(task.retain):
                fit(x, y)

    done = lab().run(amnesiac, lr=0.02)

    expected = lab().run(loop, like=amnesiac)
    assert bits(done.after, expected.after)
    assert bits(done.buffers_after, expected.buffers_after)


def test_the_drawn_labels_are_what_is_learned(lab, monkeypatch):
    monkeypatch.setattr(rl, "random_labels", lambda y, *_: (y + 1) % 3)
    bench = lab(n_f=12, n_r=3)

    done = bench.run(amnesiac, epochs=10, lr=0.05)

    learned = done.model.eval()(bench.x("forget")).argmax(1)
    assert learned.eq((bench.y("forget") + 1) % 3).float().mean() > 0.7


def test_rate_zero_leaves_the_weights(lab, bits):
    done = lab().run(amnesiac, lr=0.0)

    assert bits(done.before, done.after)


def test_cost_is_epochs_times_both_sets(lab):
    done = lab(n_f=6, n_r=15).run(amnesiac, epochs=4)

    assert done.cost == (4 * 21, 4 * 21)
    assert done.ledger.reads == {"forget": 4 * 6, "retain": 4 * 15}
