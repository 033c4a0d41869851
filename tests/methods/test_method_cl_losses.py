"""The two losses of CL, against closed forms."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from mubench.methods.cl import info_nce, kl_from_uniform, kl_to_uniform

LOGITS = nn.Identity()
P = torch.tensor([[0.7, 0.2, 0.1], [0.05, 0.9, 0.05]], dtype=torch.float64)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("kl", [kl_to_uniform, kl_from_uniform])
@pytest.mark.parametrize("k", [2, 10, 100])
def test_kl_is_zero_only_at_the_uniform_distribution(kl, k):
    uniform = torch.full((4, k), 3.7, dtype=torch.float64)
    nearly = uniform + 0.01 * drawn(4, k)

    assert float(kl(LOGITS, uniform)) == pytest.approx(0, abs=1e-12)
    assert float(kl(LOGITS, nearly)) > 1e-6


def test_the_two_directions_on_a_given_distribution():
    to_p = sum(math.log((1 / 3) / p) / 3 for row in P.tolist() for p in row) / 2
    from_p = sum(p * math.log(p * 3) for row in P.tolist() for p in row) / 2

    assert float(kl_to_uniform(LOGITS, P.log())) == pytest.approx(to_p, rel=1e-12)
    assert float(kl_from_uniform(LOGITS, P.log())) == pytest.approx(from_p, rel=1e-12)
    assert to_p != pytest.approx(from_p, rel=0.05)


def slope(kl, logits):
    logits = logits.clone().requires_grad_()
    return torch.autograd.grad(kl(LOGITS, logits), logits)[0]


def test_gradients_with_respect_to_the_logits():
    entropy = -(P * P.log()).sum(1, keepdim=True)

    torch.testing.assert_close(slope(kl_to_uniform, P.log()), (P - 1 / 3) / 2)
    torch.testing.assert_close(slope(kl_from_uniform, P.log()), P * (P.log() + entropy) / 2)


def test_only_one_direction_moves_a_confident_model():
    confident = torch.tensor([[30.0, 0.0, 0.0]], dtype=torch.float64)

    assert slope(kl_to_uniform, confident).abs().max() > 0.6
    assert slope(kl_from_uniform, confident).abs().max() < 1e-10


@pytest.mark.parametrize("negatives", [1, 7])
@pytest.mark.parametrize("tau", [0.1, 1.4])
def test_equal_similarities_give_log_of_one_plus_n(negatives, tau):
    a = torch.ones(5, 3, dtype=torch.float64)

    found = info_nce(a, a, torch.ones(negatives, 3, dtype=torch.float64), tau)

    assert float(found) == pytest.approx(math.log(1 + negatives), rel=1e-12)


def test_bounds_are_reached_at_the_extremes():
    a, tau, n = torch.tensor([[1.0, 0.0]], dtype=torch.float64), 1.4, 6
    low, high = math.log1p(n * math.exp(-2 / tau)), math.log1p(n * math.exp(2 / tau))

    assert float(info_nce(a, a, -a.repeat(n, 1), tau)) == pytest.approx(low, rel=1e-12)
    assert float(info_nce(a, -a, a.repeat(n, 1), tau)) == pytest.approx(high, rel=1e-12)
    for seed in range(20):
        v, w, r = drawn(3, 2, seed=seed), drawn(3, 2, seed=50 + seed), drawn(n, 2, seed=100 + seed)
        assert low <= float(info_nce(v, w, r, tau)) <= high


def test_value_by_hand():
    v, w, r = drawn(4, 5), drawn(4, 5, seed=1), drawn(6, 5, seed=2)
    total = 0.0
    for i in range(4):
        own = math.exp(float(torch.cosine_similarity(v[i], w[i], 0)) / 0.7)
        others = sum(math.exp(float(torch.cosine_similarity(v[i], r[j], 0)) / 0.7) for j in range(6))
        total -= math.log(own / (own + others)) / 4

    assert float(info_nce(v, w, r, 0.7)) == pytest.approx(total, rel=1e-10)


def test_order_of_negatives_and_length_of_features_do_not_matter():
    v, w, r = drawn(4, 5), drawn(4, 5, seed=1), drawn(6, 5, seed=2)
    expected = info_nce(v, w, r, 1.4)

    torch.testing.assert_close(info_nce(v, w, r[[3, 0, 5, 1, 4, 2]], 1.4), expected)
    torch.testing.assert_close(info_nce(7 * v, 0.01 * w, 1e3 * r, 1.4), expected)


def test_falls_with_the_own_similarity_and_rises_with_a_negative():
    e = torch.eye(3, dtype=torch.float64)
    anchor, other = e[:1], e[1:2]
    values = [float(info_nce(anchor, s * anchor + other, other, 1.4)) for s in (-1, 0, 1)]
    assert values[0] > values[1] > values[2]

    values = [float(info_nce(anchor, anchor, s * anchor + other, 1.4)) for s in (-1, 0, 1)]
    assert values[0] < values[1] < values[2]


def test_no_gradient_reaches_the_negatives():
    v, w, r = (drawn(4, 5, seed=s).requires_grad_() for s in range(3))

    info_nce(v, w, r, 1.4).backward()

    assert v.grad.abs().max() > 0
    assert w.grad.abs().max() > 0
    assert r.grad is None


def test_gradient_pulls_towards_the_view_and_pushes_from_the_negative():
    v = normalize(torch.tensor([[1.0, 1.0, 1.0]])).requires_grad_()
    w, r = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]])

    (slope,) = torch.autograd.grad(info_nce(v, w, r, 1.4), v)

    assert float(-slope @ w[0]) > 0.1
    assert float(-slope @ r[0]) < -0.1


def test_a_tiny_temperature_is_stable():
    a = torch.tensor([[1.0, 0.0]]).requires_grad_()
    found = info_nce(a, torch.tensor([[-1.0, 1e-3]]), torch.tensor([[1.0, 0.0]]).repeat(3, 1), 0.01)
    (slope,) = torch.autograd.grad(found, a)

    assert found.item() == pytest.approx(200 + math.log(3), rel=1e-4)
    assert torch.isfinite(slope).all()
