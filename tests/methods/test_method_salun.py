"""SalUn: the mask picks the salient weights, and only they move."""

import math

import pytest
import torch

from mubench import cross_entropy_loss
from mubench.methods.rl import random_labelling, relabel_and_fit
from mubench.methods.salun import salun


def after_a_pass(model, task, **parameters):
    """RL with the forget set's streams where SalUn's mask leaves them."""
    list(task.forget)
    relabel_and_fit(model, task, **parameters)


def salient(bench):
    """|sum over batches of the gradient of the mean CE| at theta_o in eval mode, (P,), from one batch."""
    model = bench.model().eval()
    loss = cross_entropy_loss(model, bench.x("forget"), bench.y("forget"))
    return torch.cat([g.abs().flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])


@pytest.mark.parametrize("order", ["sequential", "mixed"])
def test_all_weights_allowed_equals_rl(lab, bits, order):
    masked = lab().run(salun, epochs=2, rho=1.0, order=order)
    rest = {"epochs": 2, "lr": 0.013, "exclude_true": False, "redraw": "epoch", "order": order}
    plain = lab().run(after_a_pass, like=random_labelling, **rest)

    assert bits(masked.after, plain.after)
    assert bits(masked.buffers_after, plain.buffers_after)


def test_no_weight_allowed_leaves_the_weights_but_not_the_statistics(lab, bits):
    done = lab().run(salun, epochs=2, rho=0.0)

    assert bits(done.before, done.after)
    assert not bits(done.buffers_before, done.buffers_after)


@pytest.mark.parametrize("rho", [0.1, 0.5, 0.9])
def test_only_the_most_salient_weights_move(lab, vector, rho):
    bench = lab(n_f=6, batch_size=6, augment=False)
    size = salient(bench)
    kept = math.floor(rho * len(size))

    done = bench.run(salun, epochs=3, lr=0.1, rho=rho)

    moved = vector(done.moves) != 0
    top = torch.zeros_like(moved)
    top[size.topk(kept).indices] = True
    assert not (moved & ~top).any()
    assert moved.sum() > 0.95 * kept


def test_masked_out_weights_withstand_momentum_and_decay(lab, vector):
    bench = lab()
    done = bench.run(salun, epochs=5, lr=0.1, rho=0.3)

    stayed = vector(done.after) == vector(done.before)
    assert stayed.sum() >= len(stayed) - math.floor(0.3 * len(stayed))
    assert (vector(done.before)[stayed] != 0).any()


def test_cost_is_n_f_plus_that_of_rl(lab):
    done = lab(n_f=6, n_r=15).run(salun, epochs=3)

    assert done.cost == (6 + 3 * 21, 6 + 3 * 21)
    assert done.ledger.reads == {"forget": 4 * 6, "retain": 3 * 15}
