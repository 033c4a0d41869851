"""GDR-GMA: rectified directions, their weight, the bank, and a slow loop of the whole."""

import math

import pytest
import torch

from mubench import AdamStep, cross_entropy_loss
from mubench.api.cost import Ledger
from mubench.methods import gdr_gma as module
from mubench.methods.gdr_gma import gdr_gma, opposing, without


@pytest.mark.parametrize("seed", range(3))
def test_what_opposes_is_taken_out_and_no_more(seed):
    x, y = torch.randn(2, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    y = y if x @ y < 0 else -y

    rectified = without(x, y)

    assert abs(float(rectified @ y)) < 1e-12
    lost = x - rectified
    torch.testing.assert_close(lost, (lost @ y) / (y @ y) * y)
    assert torch.equal(without(x, -y), x)


def test_nothing_is_taken_out_along_zero():
    assert torch.equal(without(torch.ones(3), torch.zeros(3)), torch.ones(3))


def test_mean_of_those_that_oppose():
    g = torch.tensor([1.0, 0.0])
    bank = [torch.tensor(v) for v in ([-1.0, 2.0], [3.0, 1.0], [-3.0, 0.0], [0.0, 5.0])]

    torch.testing.assert_close(opposing(g, bank), torch.tensor([-2.0, 1.0]))
    assert torch.equal(opposing(g, bank[1:2]), torch.zeros(2))


def slow(bench, epochs, lr, gamma, epsilon):
    """The whole method, tensor by tensor, with plain lists and torch's AdamW."""
    model, task = bench.model(), bench.task(gdr_gma.__mubench__[0], Ledger())
    adam, bank = torch.optim.AdamW(model.parameters(), lr=lr), []
    parts = list(model.parameters())

    def project(x, y):
        dot = float((x * y).sum())
        return x - dot / float((y * y).sum()) * y if dot < 0 else x

    for epoch in range(epochs):
        for (x_f, y_f), (x_r, y_r) in zip(task.forget, task.retain, strict=False):
            fit = cross_entropy_loss(model.train(), x_r, y_r)
            g_r = torch.autograd.grad(fit, parts)
            g_f = [-g for g in torch.autograd.grad(cross_entropy_loss(model, x_f, y_f), parts)]
            bank = [*bank, g_f[-1]][-task.forget.batches :]
            w = 1 / (1 + math.exp(gamma * (float(fit.detach()) - epsilon)))
            for i, p in enumerate(parts):
                forgot = project(g_f[i], g_r[i])
                against = [b for b in bank if float((b * forgot).sum()) < 0] if i == len(parts) - 1 else []
                if epoch and against:
                    forgot = project(forgot, sum(against) / len(against))
                p.grad = (1 - w) * project(g_r[i], g_f[i]) + w * forgot
            adam.step()
    return {n: p.detach() for n, p in model.named_parameters()}


@pytest.mark.parametrize("epsilon", [0.02, 0.6])
def test_whole_method_is_the_slow_loop(lab, vector, epsilon):
    bench = lab(n_f=12)
    expected = slow(bench, epochs=4, lr=1e-3, gamma=10.0, epsilon=epsilon)

    done = bench.run(gdr_gma, epochs=4, lr=1e-3, gamma=10.0, epsilon=epsilon)

    torch.testing.assert_close(vector(done.after), vector(expected), atol=2e-5, rtol=1e-3)
    assert vector(done.moves).abs().max() > 5e-3


@pytest.mark.parametrize(("epsilon", "name"), [(-50.0, "retain"), (50.0, "forget")])
def test_loss_of_the_retain_batch_decides_whose_gradient_is_followed(
    lab, gradient, monkeypatch, epsilon, name
):
    bench, directions = lab(n_f=8, n_r=8, batch_size=8, augment=False), []

    class Spy(AdamStep):
        def __call__(self, *direction):
            directions.append(direction)
            return super().__call__(*direction)

    monkeypatch.setattr(module, "AdamStep", Spy)
    model = bench.model()
    g = {s: gradient(model, cross_entropy_loss, bench.x(s), bench.y(s)) for s in ("retain", "forget")}
    g["forget"] = {n: -p for n, p in g["forget"].items()}
    other = "forget" if name == "retain" else "retain"

    bench.run(gdr_gma, epochs=1, epsilon=epsilon)

    for found, mine, opponent in zip(directions[0], g[name].values(), g[other].values(), strict=True):
        torch.testing.assert_close(found, without(mine, opponent), atol=1e-6, rtol=1e-4)


def test_rate_zero_leaves_the_weights(lab, bits):
    done = lab().run(gdr_gma, epochs=2, lr=0.0)

    assert bits(done.before, done.after)


def test_empty_forget_set_changes_nothing(lab, bits):
    done = lab(n_f=0).run(gdr_gma, epochs=2)

    assert bits(done.before, done.after)
    assert done.cost == (0, 0)


@pytest.mark.parametrize(("n_f", "n_r"), [(8, 16), (16, 16)])
def test_cost_is_the_forget_set_and_as_much_of_the_retain_set(lab, n_f, n_r):
    done = lab(n_f=n_f, n_r=n_r, batch_size=4).run(gdr_gma, epochs=3)

    assert done.cost == (3 * 2 * n_f, 3 * 2 * n_f)
    assert done.ledger.reads == {"forget": 3 * n_f, "retain": 3 * n_f}
