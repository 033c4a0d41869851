"""UNSIR: the noise is as bad as the class allows, then stands for it; forget images are never seen."""

from itertools import islice

import pytest
import torch
from torch.nn.functional import cross_entropy

from mubench import cross_entropy_loss
from mubench.methods import unsir as module
from mubench.methods.unsir import unsir, worsened

SMALL = {"noise": 5, "noise_steps": 3}


@pytest.fixture
def start():
    """Noise (6, 1, 8, 8) and the class that it is for."""
    return torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.full((6,), 2)


def test_adams_first_step_by_hand_on_a_linear_model(lab, start):
    z, y = start
    model = lab(linear=True).model().eval()
    with torch.no_grad():
        gain = torch.eye(3)[y] - model(z * model.std + model.mean).softmax(1)
        slope = (gain @ model.head.weight).view_as(z) / 6 + 2 * 0.01 * z / 6

    found = worsened(model, z, y, 1, 0.01)

    expected = (z - 0.1 * slope.sign()) * model.std + model.mean
    clear = slope.abs() > 1e-5
    assert clear.float().mean() > 0.99
    torch.testing.assert_close(found[clear], expected[clear], atol=1e-4, rtol=1e-3)


def test_noise_is_what_torchs_adam_finds(lab, start):
    z, y = start
    model, free = lab().model().eval(), start[0].clone().requires_grad_()
    adam = torch.optim.Adam([free], 0.1)
    for _ in range(10):
        adam.zero_grad()
        (0.1 * free.square().sum((1, 2, 3)).mean() - cross_entropy(model(free * 0.3 + 0.5), y)).backward()
        adam.step()

    found = worsened(model, z, y, 10, 0.1)

    torch.testing.assert_close(found, (free * 0.3 + 0.5).detach(), atol=1e-4, rtol=1e-3)


def test_noise_gets_worse_for_its_class_and_larger_without_a_penalty(lab, start):
    z, y = start
    model = lab().model().eval()
    state = {n: t.clone() for n, t in model.state_dict().items()}

    first, free, tied = (worsened(model, z, y, n, p) for n, p in ((0, 0.0), (25, 0.0), (25, 100.0)))

    torch.testing.assert_close(first, z * model.std + model.mean)
    with torch.no_grad():
        loss = [float(cross_entropy(model(x), y)) for x in (first, free)]
    assert loss[1] > loss[0] + 1
    assert (tied - model.mean).norm() < 0.3 * (first - model.mean).norm() < (free - model.mean).norm()
    assert all(torch.equal(t, state[n]) for n, t in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_equals_a_slow_loop(lab, monkeypatch):
    kept = []

    def spy(*args):
        kept.append((worsened(*args), args[2]))
        return kept[-1][0]

    monkeypatch.setattr(module, "worsened", spy)
    done = lab(n_r=20).run(
        unsir, **SMALL, epochs_impair=2, epochs_repair=3, lr_impair=0.05, retain_share=0.4, noise_ratio=0.5
    )

    def slow(model, task):
        x, y = (torch.cat(parts) for parts in zip(*kept, strict=True))
        next(task.retain.plain(1))
        torch.randn(15, 1, 8, 8, generator=task.rng)
        model.train()
        for epochs, lr, noisy in ((2, 0.05, True), (3, 0.01, False)):
            sgd = torch.optim.SGD(model.parameters(), lr, momentum=0.9)
            for _ in range(epochs):
                for x_r, y_r in islice(task.retain, 2):
                    rows = torch.randint(15, (2,), generator=task.rng) if noisy else []
                    sgd.zero_grad()
                    cross_entropy_loss(model, torch.cat([x_r, x[rows]]), torch.cat([y_r, y[rows]])).backward()
                    sgd.step()

    expected = lab(n_r=20).run(slow, like=unsir)
    assert [set(y.tolist()) for _, y in kept] == [{0}, {1}, {2}]
    torch.testing.assert_close(done.after, expected.after, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(done.buffers_after, expected.buffers_after, atol=1e-5, rtol=1e-4)


def test_forget_images_are_never_read_but_their_class_matters(lab, bits):
    one, dark, other = lab(), lab(), lab()
    for bench, label in ((one, 1), (dark, 1), (other, 2)):
        bench.data["forget"] = bench.data["forget"][0], torch.full((6,), label)
    dark.data["forget"][0].zero_()

    done, blind, elsewhere = (bench.run(unsir, **SMALL) for bench in (one, dark, other))

    assert done.ledger.reads["forget"] == 0
    assert bits(done.after, blind.after)
    assert not bits(done.after, elsewhere.after)


def test_rates_of_zero_leave_the_weights(lab, bits):
    done = lab().run(unsir, **SMALL, lr_impair=0.0, lr_repair=0.0)

    assert bits(done.before, done.after)


def test_cost_is_the_noise_and_both_phases(lab):
    bench = lab(n_r=20, batch_size=4)
    bench.data["forget"] = bench.data["forget"][0], torch.full((6,), 1)

    done = bench.run(unsir, **SMALL, epochs_impair=2, epochs_repair=3, retain_share=0.4, noise_ratio=0.5)

    images = 5 * 3 + 2 * (8 + 4) + 3 * 8
    assert done.cost == (images, images)
    assert done.ledger.reads == {"forget": 0, "retain": 1 + 2 * 8 + 3 * 8}


def test_random_forgetting_skips_it_with_a_reason(bench):
    plan = bench('methods = ["Retrain", "UNSIR"]', dry=True)

    (row,) = [row for row in plan.rows if row.name == "UNSIR"]
    assert (row.status, row.reason) == ("skipped", "not for random forgetting, only class")
