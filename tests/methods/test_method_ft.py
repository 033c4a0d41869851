"""FT: fine-tuning on the retain set only."""

import pytest
import torch

from mubench import cross_entropy_loss
from mubench.methods.ft import fine_tune
from mubench.methods.rl import random_labelling


def test_forget_set_is_never_touched(lab, bits):
    one, two = lab(), lab()
    two.data["forget"][0].zero_()

    done = one.run(fine_tune, epochs=2)

    assert fine_tune.__mubench__[0].sees == ("retain",)
    assert done.ledger.reads["forget"] == 0
    assert bits(done.after, two.run(fine_tune, epochs=2).after)


def test_equals_rl_with_an_empty_forget_set(lab, bits):
    tuned = lab(n_f=0).run(fine_tune, epochs=3, lr=0.02)
    relabelled = lab(n_f=0).run(random_labelling, epochs=3, lr=0.02)

    assert bits(tuned.after, relabelled.after)
    assert bits(tuned.buffers_after, relabelled.buffers_after)


def test_what_the_retain_set_says_is_learned(lab):
    bench = lab(augment=False)
    images, labels = bench.data["retain"]
    bench.data["retain"] = images, (labels + 1) % 3

    done = bench.run(fine_tune, epochs=15, lr=0.05)

    assert bench.loss(done.model, "retain") < 0.5 * bench.loss(bench.model(), "retain")


def test_first_step_by_hand(lab, gradient):
    bench = lab(n_r=8, batch_size=8, augment=False)
    slope = gradient(bench.model(), cross_entropy_loss, bench.x("retain"), bench.y("retain"))

    done = bench.run(fine_tune, epochs=1, lr=0.1)

    for name, move in done.moves.items():
        torch.testing.assert_close(
            move, -0.1 * (slope[name] + 5e-4 * done.before[name]), atol=2e-6, rtol=1e-4
        )


@pytest.mark.parametrize(("epochs", "n_r"), [(1, 15), (3, 8)])
def test_cost_is_epochs_times_n_r(lab, epochs, n_r):
    done = lab(n_r=n_r).run(fine_tune, epochs=epochs)

    assert done.cost == (epochs * n_r, epochs * n_r)
    assert done.ledger.reads["retain"] == epochs * n_r
