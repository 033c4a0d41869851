"""FF: the Fisher matrix over all labels, the noise it allows, and the class that is gone."""

import pytest
import torch

from mubench.api.cost import Ledger
from mubench.methods.ff import fisher_forgetting, label_fisher, variance

SPEC = fisher_forgetting.__mubench__[0]


def retain(bench):
    return bench.task(SPEC, Ledger()).retain


def test_fisher_of_a_linear_model_in_closed_form(lab):
    """sum_k p_k (grad_c log p_k)^2 = p_c (1 - p_c), times the square of the feature for a weight."""
    bench = lab(n_r=15, linear=True)
    model = bench.model().eval()
    with torch.no_grad():
        p, h = model(bench.x("retain")).softmax(1), model.features(bench.x("retain"))
    spread = p * (1 - p)

    found = label_fisher(model, retain(bench), 3, 1)

    torch.testing.assert_close(found["head.bias"], spread.mean(0), atol=1e-8, rtol=1e-4)
    torch.testing.assert_close(found["head.weight"], spread.T @ h**2 / 15, atol=1e-8, rtol=1e-4)


@pytest.mark.parametrize("batch", [1, 4, 32])
def test_fisher_of_batches_equals_a_slow_loop(lab, batch):
    bench = lab(n_r=15)
    model = bench.model().eval()
    named = dict(model.named_parameters())
    expected = {n: torch.zeros_like(p) for n, p in named.items()}
    parts = bench.x("retain").split(batch)
    for x in parts:
        for k in range(3):
            log_p = model(x).log_softmax(1)[:, k]
            slopes = torch.autograd.grad(log_p.mean(), list(named.values()))
            for n, g in zip(named, slopes, strict=True):
                expected[n] += log_p.exp().mean().detach() * g**2 / len(parts)

    found = label_fisher(model, retain(bench), 3, batch)

    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-4)


def test_variance_by_hand():
    """1 / F below its limit, mean over the inputs, ten-fold where it must be."""
    fisher = torch.tensor([[0.1, 0.0], [0.5, 0.25]])

    torch.testing.assert_close(variance(fisher, 2.0, False), 2 * torch.tensor([[505.0, 505.0], [3.0, 3.0]]))
    torch.testing.assert_close(variance(fisher, 2.0, True), 20 * torch.tensor([[55.0, 55.0], [3.0, 3.0]]))
    torch.testing.assert_close(variance(fisher[0], 2.0, False), 20 * torch.tensor([10.0, 1000.0]))
    torch.testing.assert_close(variance(fisher[0], 2.0, True), 20 * torch.tensor([10.0, 100.0]))


def test_noise_is_of_that_variance(lab, vector):
    bench = lab(n_r=15)
    fisher = label_fisher(bench.model(), retain(bench), 3, 32)
    spread = {n: variance(f, 1e-6, n.startswith("head.")).sqrt() for n, f in fisher.items()}

    drawn = vector(bench.run(fisher_forgetting, alpha=1e-6).moves) / vector(spread)

    assert len(drawn) == 141
    assert abs(drawn.mean()) < 4 / len(drawn) ** 0.5
    assert drawn.square().mean() == pytest.approx(1, abs=4 * (2 / len(drawn)) ** 0.5)


def test_noise_scales_with_the_root_of_alpha(lab, vector):
    one, nine = (vector(lab().run(fisher_forgetting, alpha=a).moves) for a in (1e-6, 9e-6))

    assert one.norm() > 1e-3
    torch.testing.assert_close(nine, 3 * one, atol=1e-6, rtol=1e-3)


def test_alpha_zero_leaves_everything(lab, bits):
    done = lab().run(fisher_forgetting, alpha=0.0)

    assert bits(done.before, done.after)
    assert bits(done.buffers_before, done.buffers_after)


def one_class_gone(lab):
    bench = lab(n_r=15)
    images, labels = bench.data["retain"]
    bench.data["retain"] = images[labels != 1], labels[labels != 1]
    return bench


def test_row_of_an_absent_class_starts_from_zero(lab, bits):
    done = one_class_gone(lab).run(fisher_forgetting, alpha=0.0)

    row = torch.cat([done.after["head.weight"][1], done.after["head.bias"][1:2]])
    assert row.square().mean().sqrt() == pytest.approx(1e-3**0.5, rel=0.6)
    for name in ("head.weight", "head.bias"):
        assert torch.equal(done.after[name][[0, 2]], done.before[name][[0, 2]])
        del done.before[name], done.after[name]
    assert bits(done.before, done.after)


def test_row_of_an_absent_class_may_stay(lab, bits):
    done = one_class_gone(lab).run(fisher_forgetting, alpha=0.0, clear_class=False)

    assert bits(done.before, done.after)


def test_forget_set_is_never_touched_and_cost_is_k_times_n_r(lab, bits):
    done = lab(n_r=15).run(fisher_forgetting)

    assert SPEC.sees == ("retain",)
    assert done.ledger.reads == {"forget": 0, "retain": 15}
    assert done.cost == (3 * 15, 3 * 15)
    assert bits(done.buffers_before, done.buffers_after)
