"""GA: the sign and the size of a step."""

from functools import partial

import torch

from mubench import Step, cross_entropy_loss
from mubench.methods import ga
from mubench.methods.ga import gradient_ascent


def test_loss_on_the_forget_set_rises(lab):
    bench = lab(n_f=8, batch_size=8, augment=False)
    before = cross_entropy_loss(bench.model(), bench.x("forget"), bench.y("forget"))

    one_step = bench.run(gradient_ascent, epochs=1, lr=1e-2)
    more = bench.run(gradient_ascent, epochs=5, lr=1e-2)

    after = cross_entropy_loss(one_step.model, bench.x("forget"), bench.y("forget"))
    assert after > before + 1e-4
    assert bench.loss(more.model, "forget") > bench.loss(one_step.model, "forget")


def test_equals_descent_at_the_negative_rate(lab, bits, monkeypatch):
    def descend(model, task):
        step = Step(model, cross_entropy_loss, -0.01, momentum=0, decay=0)
        for x, y in task.forget.epochs(3):
            step(x, y)

    monkeypatch.setattr(ga, "Step", partial(Step, momentum=0, decay=0))

    done = lab().run(gradient_ascent, epochs=3, lr=0.01)

    assert not bits(done.before, done.after)
    assert bits(done.after, lab().run(descend, like=gradient_ascent).after)


def test_weight_decay_still_shrinks(lab, gradient):
    bench = lab(n_f=8, batch_size=8, augment=False)
    slope = gradient(bench.model(), cross_entropy_loss, bench.x("forget"), bench.y("forget"))

    done = bench.run(gradient_ascent, epochs=1, lr=0.1)

    for name, move in done.moves.items():
        expected = 0.1 * (slope[name] - 5e-4 * done.before[name])
        torch.testing.assert_close(move, expected, atol=2e-6, rtol=1e-4)


def test_retain_set_is_never_touched_and_cost_is_epochs_times_n_f(lab):
    done = lab(n_f=6).run(gradient_ascent, epochs=3)

    assert gradient_ascent.__mubench__[0].sees == ("forget",)
    assert done.ledger.reads == {"forget": 18, "retain": 0}
    assert done.cost == (18, 18)
