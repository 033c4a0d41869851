"""MSG: what is drawn anew, how fast the rest moves, and the rate over the epochs."""

import pytest
import torch
from torch import nn

from mubench import cross_entropy_loss
from mubench.methods import msg as module
from mubench.methods.msg import masked_small_gradients, redraw, rise_and_fall


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [(0, []), (1, [1]), (2, [1, 1 / 2]), (4, [1 / 2, 1, 2 / 3, 1 / 3]), (5, [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3])],
)
def test_rate_rises_and_falls(epochs, expected):
    assert rise_and_fall(epochs) == pytest.approx(expected)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(1)


def pulls(model):
    return {n: torch.randn(p.shape, generator=torch.Generator().manual_seed(2)) for n, p in named(model)}


def named(model):
    return model.named_parameters()


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_only_the_least_pulled_weights_of_each_convolution_are_drawn(rng, share):
    model = nn.Sequential(
        nn.Conv2d(2, 5, 3), nn.BatchNorm2d(5), nn.Conv2d(5, 4, 1), nn.Flatten(), nn.Linear(4, 3)
    )
    before = {n: p.detach().clone() for n, p in named(model)}
    pull = pulls(model)

    mask = redraw(model, pull, share, 0.1, rng)

    for name, p in named(model):
        least = torch.zeros_like(p, dtype=torch.bool)
        if name in ("0.weight", "2.weight"):
            order = sorted(range(p.numel()), key=lambda i: abs(float(pull[name].flatten()[i])))
            least.view(-1)[order[: round(share * p.numel())]] = True
            torch.testing.assert_close(mask[name], torch.where(least, 1.0, 0.1))
        else:
            assert (mask[name] == 1).all()
        assert torch.equal(p != before[name], least)


def test_fresh_weights_are_he_normal(rng):
    model = nn.Sequential(nn.Conv2d(40, 50, 3))

    redraw(model, pulls(model), 1.0, 0.1, rng)

    scaled = model[0].weight.detach() / (2 / (50 * 9)) ** 0.5
    assert abs(scaled.mean()) < 4 / 18_000**0.5
    assert scaled.square().mean() == pytest.approx(1, abs=4 * (2 / 18_000) ** 0.5)


def test_pull_is_that_of_retain_less_that_of_forget(lab, monkeypatch):
    bench, found = lab(n_f=6, n_r=6, batch_size=6, augment=False), []
    monkeypatch.setattr(
        module, "redraw", lambda model, pull, *rest: found.append(pull) or redraw(model, pull, *rest)
    )
    slopes = {}
    for name in ("retain", "forget"):
        model = bench.model().eval()
        loss = cross_entropy_loss(model, bench.x(name), bench.y(name))
        slopes[name] = torch.autograd.grad(loss, list(model.parameters()))

    bench.run(masked_small_gradients, epochs=1)

    expected = [r - f for r, f in zip(slopes["retain"], slopes["forget"], strict=True)]
    torch.testing.assert_close(list(found[0].values()), expected, atol=1e-7, rtol=1e-4)


def test_without_redrawing_it_is_fine_tuning_by_that_rate(lab):
    def by_hand(model, task):
        list(zip(task.retain, range(task.forget.batches), strict=False))  # what the gradients read
        weights = list(model.parameters())
        speed = [torch.zeros_like(p) for p in weights]
        model.train()
        for factor in (1 / 2, 1, 1 / 2):
            for x, y in task.retain:
                slopes = torch.autograd.grad(cross_entropy_loss(model, x, y), weights)
                with torch.no_grad():
                    for p, v, g in zip(weights, speed, slopes, strict=True):
                        v.copy_(0.9 * v + g + 5e-4 * p)
                        p -= 0.05 * factor * v

    done = lab().run(masked_small_gradients, epochs=3, lr=0.05, rho=0.0, slow=1.0)

    expected = lab().run(by_hand, like=masked_small_gradients)
    torch.testing.assert_close(done.after, expected.after, atol=2e-6, rtol=1e-4)


def test_first_step_of_what_stays_is_a_tenth(lab):
    slow, fast = (
        lab(n_r=4, augment=False).run(masked_small_gradients, epochs=1, lr=0.1, rho=0.0, slow=s).moves
        for s in (0.1, 1.0)
    )

    for name in slow:
        factor = 0.1 if slow[name].ndim == 4 else 1.0
        torch.testing.assert_close(slow[name], factor * fast[name], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("parameters", [{"lr": 0.0, "rho": 0.0}, {"epochs": 0}])
def test_nothing_drawn_and_no_rate_or_no_epoch_leave_the_weights(lab, bits, parameters):
    done = lab().run(masked_small_gradients, **parameters)

    assert bits(done.before, done.after)


def test_weights_that_may_not_move_withstand_momentum_and_decay(lab):
    done = lab().run(masked_small_gradients, lr=0.1, rho=0.5, slow=0.0)

    stayed = done.moves["backbone.0.weight"] == 0
    assert stayed.sum() == 27
    assert all((move != 0).all() for move in (done.moves["head.weight"], done.moves["backbone.1.bias"]))


def test_cost(lab):
    """A pass over 6 forget images in two batches, two batches of 4 retain images, then all 16 thrice."""
    done = lab(n_f=6, n_r=16).run(masked_small_gradients, epochs=3)

    assert done.cost == (6 + 8 + 3 * 16, 6 + 8 + 3 * 16)
    assert done.ledger.reads == {"forget": 6, "retain": 8 + 3 * 16}
