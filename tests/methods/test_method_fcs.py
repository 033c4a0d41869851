"""FCS: its contrastive loss, and the two phases step by step."""

import math

import pytest
import torch

from mubench import Step, cross_entropy_loss
from mubench.methods import fcs as module
from mubench.methods.cl import cl, kl_to_uniform
from mubench.methods.fcs import forget_contrast_strengthen, unlike_all


class Logits(torch.nn.Module):
    """A model whose logits are its inputs."""

    def forward(self, x):
        return x


def test_loss_by_hand():
    z, r = torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 3.0], [-1.0, 5.0]])
    like = [2 * 1 / 0.5, 0, 2 * -1 / 0.5]
    total = math.log(sum(math.exp(a) for a in like))

    found = float(unlike_all(0.5)(Logits(), z, r))

    assert found == pytest.approx(sum(total - a for a in like) / 3, rel=1e-6)


def test_least_loss_is_where_all_are_equally_like():
    r = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))

    flat = float(unlike_all(1.15)(Logits(), torch.zeros(2, 3), r))

    assert flat == pytest.approx(math.log(5), rel=1e-6)
    assert float(unlike_all(1.15)(Logits(), torch.tensor([[1.0, 0, 0]]), r)) > flat


def test_no_gradient_reaches_the_retain_batch(lab):
    x = torch.rand(2, 1, 8, 8)
    r = torch.rand(3, 1, 8, 8).requires_grad_()

    loss = unlike_all(1.0)(lab().model(), x, r)

    assert torch.autograd.grad(loss, r, allow_unused=True) == (None,)
    assert unlike_all(0.01)(lab().model(), x, r).isfinite()


def test_phase_1_is_that_of_cl(lab, bits):
    alone = lab().run(forget_contrast_strengthen, epochs_kl=2, epochs=0, lr_kl=0.1)
    child = lab().run(cl, epochs_kl=2, epochs=0, lr_kl=0.1)

    assert not bits(alone.before, alone.after)
    assert bits(alone.after, child.after)


@pytest.mark.parametrize(("n_f", "n_r"), [(6, 15), (15, 6)])
def test_phases_equal_a_slow_loop(lab, n_f, n_r):
    """SGD with momentum written out, each of the three trainings with a velocity of its own."""

    def by_hand(model, task):
        weights = list(model.parameters())
        speeds = {key: [torch.zeros_like(p) for p in weights] for key in ("kl", "push", "fit")}

        def move(key, loss, lr, decay):
            slopes = torch.autograd.grad(loss, weights)
            with torch.no_grad():
                for p, v, g in zip(weights, speeds[key], slopes, strict=True):
                    v.copy_(0.9 * v + g + decay * p)
                    p -= lr * v

        model.train()
        for x, _ in task.forget:
            move("kl", kl_to_uniform(model, x), 0.05, 0)
        done, total = 0, 3 * task.forget.batches
        for _ in range(3):
            for (x, _), (r, _) in zip(task.forget, task.retain, strict=False):
                z, others = model(x), model(r).detach()
                loss = -torch.stack([(o @ others.T / 1.3).log_softmax(0).mean() for o in z]).mean()
                move("push", loss, 1e-6 + (0.02 - 1e-6) * (1 + math.cos(math.pi * done / total)) / 2, 0)
                done += 1
            for x, y in task.retain:
                move("fit", cross_entropy_loss(model, x, y), 0.03, 0.1)

    parameters = {"lr_kl": 0.05, "epochs": 3, "lr_push": 0.02, "lr_fit": 0.03, "decay": 0.1, "tau": 1.3}
    done = lab(n_f=n_f, n_r=n_r).run(forget_contrast_strengthen, **parameters)

    expected = lab(n_f=n_f, n_r=n_r).run(by_hand, like=forget_contrast_strengthen)
    torch.testing.assert_close(done.after, expected.after, atol=2e-6, rtol=1e-4)
    torch.testing.assert_close(done.buffers_after, expected.buffers_after, atol=2e-6, rtol=1e-4)


def test_rates_of_zero_leave_the_weights(lab, bits):
    done = lab().run(forget_contrast_strengthen, lr_kl=0.0, lr_push=0.0, lr_fit=0.0)

    assert bits(done.before, done.after)


def test_contrastive_rate_ends_near_1e_6(lab, monkeypatch):
    schedules = []

    class Watched(Step):
        def __init__(self, *args, schedule=None, **rest):
            schedules.append(schedule)
            super().__init__(*args, schedule=schedule, **rest)

    monkeypatch.setattr(module, "Step", Watched)

    lab(n_f=6).run(forget_contrast_strengthen, epochs=5)

    push, fit = schedules
    assert [3e-4 * push(s) for s in (0, 5, 10)] == pytest.approx([3e-4, 1.505e-4, 1e-6])
    assert fit is None


def test_cost(lab):
    """n_f; then thrice: two batches of 3 forget and of 4 retain images, and all 16 retain images."""
    done = lab(n_f=6, n_r=16).run(forget_contrast_strengthen, epochs=3)

    assert done.cost == (6 + 3 * (6 + 8 + 16), 6 + 3 * (6 + 16))
    assert done.ledger.reads == {"forget": 4 * 6, "retain": 3 * (8 + 16)}
