"""SSD: which weights shrink, by how much, and that none ever grows."""

import pytest
import torch

from mubench import cross_entropy_loss
from mubench.methods.ssd import selective_dampening


def importance(bench, x, y):
    """Mean over batches of the squared gradient of the mean CE in eval mode, (P,), by plain autograd."""
    model = bench.model().eval()
    found = [
        torch.autograd.grad(cross_entropy_loss(model, *batch), list(model.parameters()))
        for batch in zip(x.split(bench.batch_size), y.split(bench.batch_size), strict=True)
    ]
    return torch.stack([torch.cat([p.flatten() for p in g]) for g in found]).square().mean(0)


@pytest.mark.parametrize(("alpha", "lam"), [(10.0, 1.0), (1.0, 1.0), (0.5, 0.5), (0.5, 2.0)])
def test_every_weight_by_hand(lab, vector, alpha, lam):
    bench = lab(n_f=9, n_r=30)
    both = (torch.cat([of("retain"), of("forget")]) for of in (bench.x, bench.y))
    forget, whole = importance(bench, bench.x("forget"), bench.y("forget")), importance(bench, *both)

    done = bench.run(selective_dampening, alpha=alpha, lam=lam)

    theta = vector(done.before)
    expected = [
        t * min(lam * d / f, 1.0) if f > alpha * d else t
        for t, f, d in zip(theta.tolist(), forget.tolist(), whole.tolist(), strict=True)
    ]
    torch.testing.assert_close(vector(done.after), torch.tensor(expected), atol=1e-7, rtol=1e-4)
    assert done.notes["dampened"] == pytest.approx(float((forget > alpha * whole).float().mean()))
    assert done.notes["dampened"] > 0


@pytest.mark.parametrize("parameters", [{"alpha": 1e30}, {"alpha": 0.1, "lam": 1e30}])
def test_nothing_is_dampened_by_a_huge_threshold_or_a_huge_lam(lab, bits, parameters):
    done = lab().run(selective_dampening, **parameters)

    assert bits(done.before, done.after)


def test_weights_never_grow_or_change_sign(lab, vector):
    done = lab().run(selective_dampening, alpha=0.1, lam=3.0)

    before, after = vector(done.before), vector(done.after)
    assert (after.abs() <= before.abs()).all()
    assert (after * before >= 0).all()
    assert (after.abs() < before.abs()).any()


def test_a_forget_set_like_the_rest_is_not_salient(lab, bits):
    bench = lab(n_f=12, n_r=12)
    bench.data["forget"] = bench.data["retain"]

    done = bench.run(selective_dampening, alpha=1.01)

    assert bits(done.before, done.after)


def test_forgetting_hurts_what_is_forgotten_most(lab):
    bench = lab(n_f=24, n_r=24)
    for name, (images, labels) in bench.data.items():
        there = (labels == 2) == (name == "forget")
        bench.data[name] = images[there], labels[there]

    model = bench.run(selective_dampening, alpha=1.0).model

    rise = {n: bench.loss(model, n) - bench.loss(bench.model(), n) for n in ("forget", "retain")}
    assert rise["forget"] > rise["retain"]


def test_cost_is_two_n_f_plus_n_r(lab, bits):
    done = lab(n_f=6, n_r=15).run(selective_dampening)

    assert done.cost == (2 * 6 + 15, 2 * 6 + 15)
    assert done.ledger.reads == {"forget": 12, "retain": 15}
    assert bits(done.buffers_before, done.buffers_after)
