"""IU: the published recursion, the exact inverse, and the step they scale."""

import pytest
import torch

from mubench import cross_entropy_loss
from mubench.methods.iu import influence, inverse_fisher, published_recursion


def rows(model, x, y):
    """Gradients of single images in eval mode, (n, P) float64, by plain autograd."""
    model.eval()
    parts = list(model.parameters())
    found = [
        torch.autograd.grad(cross_entropy_loss(model, x[i : i + 1], y[i : i + 1]), parts)
        for i in range(len(y))
    ]
    return torch.stack([torch.cat([p.flatten() for p in g]) for g in found]).double()


def influence_vector(bench):
    """(v, gradients of single retain images), from the definition."""
    forget = rows(bench.model(), bench.x("forget"), bench.y("forget"))
    retain = rows(bench.model(), bench.x("retain"), bench.y("retain"))
    share = bench.n_f / (bench.n_f + bench.n_r)
    return share * (forget.mean(0) - retain.mean(0)), retain


def off_span(vector, *basis):
    """How much of a vector lies outside the span, relative to its length."""
    q, _ = torch.linalg.qr(torch.stack(basis, 1))
    return float((vector - q @ (q.T @ vector)).norm() / vector.norm())


@pytest.mark.parametrize("solver", ["reference", "fisher"])
def test_alpha_zero_leaves_everything(lab, bits, solver):
    done = lab().run(influence, alpha=0.0, solver=solver)

    assert bits(done.before, done.after)
    assert bits(done.buffers_before, done.buffers_after)


@pytest.mark.parametrize("solver", ["reference", "fisher"])
def test_linear_in_alpha(lab, vector, solver):
    once = vector(lab().run(influence, alpha=1.0, solver=solver).moves)
    thrice = vector(lab().run(influence, alpha=3.0, solver=solver).moves)

    assert once.norm() > 1e-3
    torch.testing.assert_close(thrice, 3 * once, atol=1e-6, rtol=1e-4)


def test_buffers_are_never_touched(lab, bits):
    done = lab().run(influence)

    assert not bits(done.before, done.after)
    assert bits(done.buffers_before, done.buffers_after)


def test_recursion_by_hand():
    v, g_1, g_2, g_3 = torch.randn(4, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    n = 5
    k_2 = v - (v @ g_2) / (n + g_1 @ g_2) * g_1
    o_2 = g_1 * (1 - (g_1 @ g_2) / (n + g_1 @ g_2))
    k_3 = k_2 - (k_2 @ g_3) / (n + o_2 @ g_3) * o_2

    torch.testing.assert_close(published_recursion(v, [g_1], n), v)
    torch.testing.assert_close(published_recursion(v, [g_1, g_2], n), k_2)
    torch.testing.assert_close(published_recursion(v, [g_1, g_2, g_3], n), k_3)


def test_recursion_only_removes_a_component_along_the_first_gradient():
    v, *gradients = torch.randn(9, 30, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    found = published_recursion(v, gradients, 5)

    assert off_span(found, v) > 1e-3
    assert off_span(found, v, gradients[0]) < 1e-12


def test_reference_move_lies_in_the_span_of_v_and_the_first_gradient(lab, vector):
    bench = lab()
    v, retain = influence_vector(bench)

    done = bench.run(influence, alpha=1.0)

    move = vector(done.moves).double()
    assert off_span(move, v, retain[0]) < 1e-4
    torch.testing.assert_close(move, published_recursion(v, retain, 1000), atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("samples", [8, 15])
def test_fisher_move_equals_a_dense_solve(lab, vector, samples):
    bench = lab(linear=True)
    v, retain = influence_vector(bench)
    used = retain[:samples]
    assert v.numel() <= 200
    fisher = 0.1 * torch.eye(v.numel(), dtype=v.dtype) + used.T @ used / samples

    done = bench.run(influence, alpha=2.0, solver="fisher", samples=samples, damping=0.1)

    expected = 2 * torch.linalg.solve(fisher, v)
    assert float((vector(done.moves) - expected).norm() / expected.norm()) < 1e-4


def test_inverse_fisher_exactly():
    gradients = torch.randn(12, 40, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    v = torch.linspace(-1, 1, 40, dtype=torch.float64)
    fisher = 0.3 * torch.eye(40, dtype=torch.float64) + gradients.T @ gradients / 12

    torch.testing.assert_close(inverse_fisher(v, gradients, 0.3), torch.linalg.solve(fisher, v))


@pytest.mark.parametrize("solver", ["reference", "fisher"])
def test_copy_of_the_retain_set_moves_nothing(lab, bits, solver):
    bench = lab(n_f=15, n_r=15)
    bench.data["forget"] = bench.data["retain"]

    done = bench.run(influence, solver=solver)

    assert bits(done.before, done.after)


@pytest.mark.parametrize("solver", ["reference", "fisher"])
def test_small_alpha_raises_the_forget_loss(lab, solver):
    bench = lab()
    # where g_f outweighs g_r: v is an ascent direction on D_f only if g_f.(g_f - g_r) > 0
    bench.data["forget"] = bench.data["forget"][0], (bench.y("forget") + 1) % 3

    done = bench.run(influence, alpha=0.5, solver=solver)

    assert bench.loss(done.model, "forget") > bench.loss(bench.model(), "forget") + 1e-4


@pytest.mark.parametrize(("samples", "taken"), [(4, 4), (1002, 15)])
def test_cost_is_n_f_plus_n_r_plus_samples(lab, samples, taken):
    done = lab(n_f=6, n_r=15).run(influence, samples=samples)

    assert done.cost == (6 + 15 + taken, 6 + 15 + taken)
    assert done.ledger.reads == {"forget": 6, "retain": 15 + taken}
