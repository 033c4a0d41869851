"""SFRon: its loss, its mask, its clipping, and the whole training written out."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from mubench import cross_entropy_loss
from mubench.api.cost import Ledger
from mubench.methods._steps import clipped
from mubench.methods.sfron import adaptive_loss, saliency_forgetting, salient

SPEC = saliency_forgetting.__mubench__[0]


class Logits(torch.nn.Module):
    """A model whose logits are its inputs."""

    def forward(self, x):
        return x


def test_adaptive_loss_by_hand():
    """With CE_i = log 2 and log 4, and weights CE^-1/2."""
    z, y = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]]), torch.tensor([0, 1])
    a, b = math.log(2), math.log(4)

    found = float(adaptive_loss(Logits(), z, y, 0.5))

    assert found == pytest.approx((a**0.5 + b**0.5) / (a**-0.5 + b**-0.5), rel=1e-5)


def test_adaptive_loss_with_power_zero_is_the_mean():
    z, y = torch.randn(5, 3, generator=torch.Generator().manual_seed(1)), torch.arange(5) % 3

    assert float(adaptive_loss(Logits(), z, y, 0.0)) == pytest.approx(float(cross_entropy(z, y)), rel=1e-6)


def test_no_gradient_flows_through_the_weights_of_the_loss():
    """d/dz = sum_i c_i (p_i - y_i) / sum_i c_i."""
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(2)).requires_grad_()
    y = torch.arange(4) % 3
    c = cross_entropy(z, y, reduction="none").detach() ** -0.5

    (slope,) = torch.autograd.grad(adaptive_loss(Logits(), z, y, 0.5), z)

    expected = (c / c.sum())[:, None] * (z.detach().softmax(1) - torch.eye(3)[y])
    torch.testing.assert_close(slope, expected)


def squares(bench, name):
    """Squared gradient of the mean CE of a whole set in eval mode, by parameter."""
    model = bench.model().eval()
    loss = cross_entropy_loss(model, bench.x(name), bench.y(name))
    return [g**2 for g in torch.autograd.grad(loss, list(model.parameters()))]


@pytest.mark.parametrize("gamma", [0.1, 1.0, 10.0])
def test_mask_compares_the_two_sets(lab, gamma):
    bench = lab(n_f=6, n_r=15, batch_size=15, augment=False)
    pairs = zip(squares(bench, "forget"), squares(bench, "retain"), strict=True)
    ratios = torch.cat([((f + 1e-15) / (r + 1e-15)).flatten() for f, r in pairs])

    found = torch.cat([m.flatten() for m in salient(bench.model(), bench.task(SPEC, Ledger()), gamma)])

    clear = (ratios / gamma - 1).abs() > 1e-3
    assert torch.equal(found[clear], (ratios >= gamma).float()[clear])
    assert 0 < found.sum() < len(found)


def test_equal_sets_have_all_weights_salient_at_one_and_none_above(lab):
    bench = lab(n_f=8, n_r=8, batch_size=8, augment=False)
    bench.data["forget"] = bench.data["retain"]

    share = [
        float(torch.cat([m.flatten() for m in salient(bench.model(), bench.task(SPEC, Ledger()), g)]).mean())
        for g in (0.9, 1.1)
    ]

    assert share[0] > 0.99
    assert share[1] < 0.01


def test_clipping_by_hand():
    long, short = (
        [torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])],
        [torch.tensor([0.3]), torch.tensor([0.4])],
    )

    torch.testing.assert_close(clipped(long, 2.0), (torch.tensor([1.2, 0.0]), torch.tensor([[1.6]])))
    assert all(torch.equal(a, b) for a, b in zip(clipped(short, 2.0), short, strict=True))


@pytest.mark.parametrize(("alpha", "max_norm", "every"), [(0.3, 7.0, 5), (25.0, 0.5, 2), (1.0, 7.0, 1)])
def test_training_equals_a_slow_loop(lab, alpha, max_norm, every):
    """SGD written out on one flat vector; the forget step before every `every`-th retain step."""

    def by_hand(model, task):
        mask = torch.cat([m.flatten() for m in salient(model, task, 1.0)])
        weights, speed = list(model.parameters()), torch.zeros(len(mask))
        steps, forget = 3 * task.retain.batches, task.forget.cycle()

        def move(loss, lr, mask, longest):
            g = mask * torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights)])
            g = g * min(1, longest / float(g.norm()))
            flat = torch.nn.utils.parameters_to_vector(weights).detach()
            speed.copy_(0.9 * speed + g + 5e-4 * flat)
            torch.nn.utils.vector_to_parameters(flat - lr * speed, weights)

        model.train()
        for step, (x, y) in enumerate(task.retain.epochs(3)):
            fall = (1 + math.cos(math.pi * step / steps)) / 2
            if step % every == 0:
                v, w = next(forget)
                each = cross_entropy(model(v), w, reduction="none")
                share = each.detach() ** -0.5
                loss = -alpha * fall * (share / share.sum() * each).sum()
                move(loss, 0.05 * fall, mask, max_norm)
            move(cross_entropy_loss(model, x, y), 0.05 * fall, 1, math.inf)

    done = lab().run(saliency_forgetting, epochs=3, lr=0.05, alpha=alpha, max_norm=max_norm, every=every)

    expected = lab().run(by_hand, like=saliency_forgetting)
    torch.testing.assert_close(done.after, expected.after, atol=1e-5, rtol=1e-3)
    assert all((move != 0).any() for move in done.moves.values())


@pytest.mark.parametrize("parameters", [{"lr": 0.0}, {"epochs": 0}])
def test_no_rate_or_no_epoch_leave_the_weights(lab, bits, parameters):
    done = lab().run(saliency_forgetting, **parameters)

    assert bits(done.before, done.after)


def test_ascent_raises_the_forget_loss(lab):
    bench = lab(n_f=12, n_r=15)
    images, labels = bench.data["forget"]
    bench.data["forget"] = images, (labels + 1) % 3

    with_ascent, without = (
        bench.loss(bench.run(saliency_forgetting, alpha=a, every=1).model, "forget") for a in (1.0, 0.0)
    )

    assert with_ascent > without + 0.1


def test_cost(lab):
    """n_f + n_r for the mask; 12 retain batches, and 3 forget images before the 1st, 6th and 11th."""
    done = lab(n_f=6, n_r=16).run(saliency_forgetting, epochs=3)

    assert done.cost == (6 + 16 + 3 * 16 + 3 * 3,) * 2
    assert done.ledger.reads["retain"] == 4 * 16
    assert done.ledger.reads["forget"] == 6 + 3 * 3
