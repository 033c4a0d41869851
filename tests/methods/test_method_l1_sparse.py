"""l1-sparse: the schedule of the penalty, and that without it only FT remains."""

import pytest
import torch

from mubench import cross_entropy_loss
from mubench.methods.ft import fine_tune
from mubench.methods.l1_sparse import l1_sparse, penalty


def test_penalty_fades_linearly():
    assert penalty(0.5, 4, 0) == pytest.approx([0.5, 0.375, 0.25, 0.125], rel=1e-12)
    assert penalty(1e-4, 10, 0) == pytest.approx([1e-4 * (1 - e / 10) for e in range(10)], rel=1e-12)


def test_last_epochs_have_no_penalty():
    assert penalty(0.6, 5, 2) == pytest.approx([0.6, 0.4, 0.2, 0, 0], rel=1e-12)
    assert penalty(0.6, 3, 3) == [0, 0, 0]
    assert penalty(0.6, 2, 5) == [0, 0]


def test_gamma_zero_equals_ft(lab, bits):
    sparse = lab().run(l1_sparse, epochs=3, gamma=0.0)
    tuned = lab().run(fine_tune, epochs=3)

    assert bits(sparse.after, tuned.after)
    assert bits(sparse.buffers_after, tuned.buffers_after)


def test_weights_are_smaller_than_after_ft(lab, vector):
    norms = [
        vector(done.after).abs().sum()
        for done in (
            lab().run(l1_sparse, gamma=1e-2),
            lab().run(l1_sparse, gamma=1e-3),
            lab().run(fine_tune),
        )
    ]

    assert norms[0] < norms[1] < norms[2]


def test_first_step_by_hand(lab, gradient):
    bench = lab(n_r=8, batch_size=8, augment=False)
    slope = gradient(bench.model(), cross_entropy_loss, bench.x("retain"), bench.y("retain"))

    done = bench.run(l1_sparse, epochs=1, lr=0.1, gamma=0.05)

    for name, move in done.moves.items():
        theta = done.before[name]
        expected = -0.1 * (slope[name] + 0.05 * theta.sign() + 5e-4 * theta)
        torch.testing.assert_close(move, expected, atol=2e-6, rtol=1e-4)


def test_a_penalty_faded_from_the_start_is_ft(lab, bits):
    strong = lab().run(l1_sparse, epochs=2, gamma=0.1, fade_out=2)
    tuned = lab().run(fine_tune, epochs=2)

    assert bits(strong.after, tuned.after)


def test_forget_set_is_never_touched_and_cost_is_epochs_times_n_r(lab):
    done = lab(n_r=15).run(l1_sparse, epochs=3)

    assert l1_sparse.__mubench__[0].sees == ("retain",)
    assert done.ledger.reads == {"forget": 0, "retain": 45}
    assert done.cost == (45, 45)
