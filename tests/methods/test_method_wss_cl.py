"""WSS-CL: CL in which every weight moves at a rate of its own."""

import math

import pytest
import torch

from mubench import cross_entropy_loss
from mubench.methods import wss_cl as module
from mubench.methods.cl import cl, kl_to_uniform
from mubench.methods.wss_cl import wss_cl

LN_3 = math.log(3)


def cl_after_a_pass(model, task, **parameters):
    """CL with the forget set's streams where the mask of WSS-CL leaves them."""
    list(task.forget)
    cl(model, task, **parameters)


def rates(bench, loss=cross_entropy_loss, kappa=LN_3):
    """By parameter: tanh(kappa |g| / (2 median |g|)), from one batch at theta_o in eval mode."""
    model = bench.model().eval()
    named = dict(model.named_parameters())
    batch = (bench.x("forget"), bench.y("forget")) if loss is cross_entropy_loss else (bench.x("forget"),)
    slopes = torch.autograd.grad(loss(model, *batch), list(named.values()))
    middle = torch.cat([g.abs().flatten() for g in slopes]).median()
    return {n: torch.tanh(kappa * g.abs() / (2 * middle)) for n, g in zip(named, slopes, strict=True)}


def test_a_mask_of_ones_equals_cl(lab, bits, monkeypatch):
    def ones(gradients, **_):
        return {n: torch.ones_like(g) for n, g in gradients.items()}

    monkeypatch.setattr(module, "soft", ones)
    masked = lab().run(wss_cl, epochs=2)
    plain = lab().run(cl_after_a_pass, like=cl, epochs=2)

    assert not bits(masked.before, masked.after)
    assert bits(masked.after, plain.after)
    assert bits(masked.buffers_after, plain.buffers_after)


@pytest.mark.parametrize("saliency_loss", ["ce", "kl"])
def test_first_step_of_phase_1_is_scaled_by_the_mask(lab, gradient, saliency_loss):
    bench = lab(n_f=8, batch_size=8, augment=False)
    mask = rates(bench, cross_entropy_loss if saliency_loss == "ce" else kl_to_uniform)
    slope = gradient(bench.model(), kl_to_uniform, bench.x("forget"))

    done = bench.run(wss_cl, epochs=0, lr_kl=0.1, saliency_loss=saliency_loss)

    for name, move in done.moves.items():
        torch.testing.assert_close(move, -0.1 * mask[name] * slope[name], atol=2e-6, rtol=1e-3)


def test_first_step_of_fitting_scales_the_decay_too(lab, gradient):
    bench = lab(n_f=8, n_r=8, batch_size=8, augment=False)
    mask = rates(bench, kappa=0.5)
    slope = gradient(bench.model(), cross_entropy_loss, bench.x("retain"), bench.y("retain"))

    done = bench.run(wss_cl, kappa=0.5, epochs_kl=0, epochs=1, lr_push=0.0, lr_fit=0.1, decay=0.2)

    for name, move in done.moves.items():
        expected = -0.1 * mask[name] * (slope[name] + 0.2 * done.before[name])
        torch.testing.assert_close(move, expected, atol=2e-6, rtol=1e-3)


def test_the_default_mask_has_median_one_half_and_the_published_one_is_tiny(lab):
    half = lab().run(wss_cl, epochs=1)
    printed = lab().run(wss_cl, epochs=1, kappa=1.0, soft_scale="none")

    assert half.notes["mask"]["quantiles"]["50"] == pytest.approx(0.5, abs=0.02)
    assert printed.notes["mask"]["quantiles"]["50"] < 0.1


def test_labels_of_the_forget_set_matter_only_to_the_mask(lab, bits):
    one, two = lab(), lab()
    two.data["forget"] = two.data["forget"][0], (two.y("forget") + 1) % 3

    by_ce, by_kl = (
        [b.run(wss_cl, epochs=1, saliency_loss=loss).after for b in (one, two)] for loss in ("ce", "kl")
    )

    assert not bits(*by_ce)
    assert bits(*by_kl)


def test_cost_is_n_f_plus_that_of_cl(lab):
    bench = lab(n_f=8, n_r=12, batch_size=4)
    masked, plain = bench.run(wss_cl, epochs_kl=2, epochs=3), bench.run(cl, epochs_kl=2, epochs=3)

    assert masked.cost == (plain.cost[0] + 8, plain.cost[1] + 8)
    assert masked.ledger.reads["forget"] == plain.ledger.reads["forget"] + 8
    assert masked.ledger.reads["retain"] == plain.ledger.reads["retain"]
