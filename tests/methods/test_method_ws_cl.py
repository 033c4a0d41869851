"""WS-CL: CL in which only the most salient weights move."""

import math

import pytest
import torch
from helpers import state

from mubench import cross_entropy_loss, saliency
from mubench.methods import ws_cl as module
from mubench.methods.cl import cl
from mubench.methods.ws_cl import ws_cl


def cl_after_a_pass(model, task, **parameters):
    """CL with the forget set's streams where the mask of WS-CL leaves them."""
    list(task.forget)
    cl(model, task, **parameters)


def test_all_weights_allowed_equals_cl(lab, bits):
    masked = lab().run(ws_cl, epochs=2, rho=1.0)
    plain = lab().run(cl_after_a_pass, like=cl, epochs=2)

    assert not bits(masked.before, masked.after)
    assert bits(masked.after, plain.after)
    assert bits(masked.buffers_after, plain.buffers_after)


def test_no_weight_allowed_leaves_the_weights_but_not_the_statistics(lab, bits):
    done = lab().run(ws_cl, epochs=2, rho=0.0, lr_kl=0.1, lr_push=0.1, lr_fit=0.1)

    assert bits(done.before, done.after)
    assert not bits(done.buffers_before, done.buffers_after)


@pytest.mark.parametrize("rho", [0.1, 0.5, 0.9])
def test_masked_out_weights_withstand_both_phases(lab, vector, rho):
    bench = lab(n_f=6, batch_size=6, augment=False)
    model = bench.model().eval()
    loss = cross_entropy_loss(model, bench.x("forget"), bench.y("forget"))
    size = torch.cat([g.abs().flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])
    kept = math.floor(rho * len(size))
    top = torch.zeros(len(size), dtype=torch.bool)
    top[size.topk(kept).indices] = True

    done = bench.run(ws_cl, rho=rho, epochs_kl=2, epochs=3, lr_kl=0.05, lr_push=0.05, lr_fit=0.05, decay=0.1)

    moved = vector(done.moves) != 0
    assert not (moved & ~top).any()
    assert moved.sum() > 0.95 * kept
    assert done.notes["mask"]["mean"] == pytest.approx(kept / len(size))


def test_the_mask_is_made_once_at_the_original(lab, bits, monkeypatch):
    at = []

    def spy(model, *rest):
        at.append(state(model))
        return saliency(model, *rest)

    monkeypatch.setattr(module, "saliency", spy)

    lab().run(ws_cl, epochs_kl=2, epochs=2, lr_kl=0.1)

    (start,) = at
    assert bits(start, lab().model().state_dict())


def test_cost_is_n_f_plus_that_of_cl(lab):
    bench = lab(n_f=8, n_r=12, batch_size=4)
    masked, plain = bench.run(ws_cl, epochs_kl=2, epochs=3), bench.run(cl, epochs_kl=2, epochs=3)

    assert masked.cost == (plain.cost[0] + 8, plain.cost[1] + 8)
    assert masked.ledger.reads["forget"] == plain.ledger.reads["forget"] + 8
    assert masked.ledger.reads["retain"] == plain.ledger.reads["retain"]
