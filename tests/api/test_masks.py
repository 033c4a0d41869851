"""Saliency, and the hard and soft masks made of it."""

import copy
import math

import pytest
import torch
from helpers import gen

from mubench import cross_entropy_loss, largest, saliency, soft
from mubench.api.masks import describe
from mubench.discovery.find import Catalogue
from mubench.discovery.models import build
from mubench.running.contract import differing

MODELS = Catalogue().models


def gradients(seed=0, ties=False):
    rng = gen(seed)
    parts = {
        "a": torch.randn(7, 5, generator=rng),
        "b": torch.randn(11, generator=rng),
        "c": torch.tensor([0.4]),
    }
    return {n: (g * 2).round() for n, g in parts.items()} if ties else parts


def flat(parts):
    return torch.cat([p.flatten() for p in parts.values()])


@pytest.mark.parametrize("share", [0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.999, 1])
@pytest.mark.parametrize("ties", [False, True])
def test_largest_against_a_full_ranking(share, ties):
    g = gradients(ties=ties)
    size = flat(g).abs()

    mask = largest(g, share)

    expected = torch.zeros(47)
    expected[torch.argsort(size, descending=True, stable=True)[: math.floor(share * 47)]] = 1
    assert torch.equal(flat(mask), expected)
    assert {n: m.shape for n, m in mask.items()} == {n: x.shape for n, x in g.items()}


@pytest.mark.parametrize("value", [0.0, -2.0])
def test_largest_counts_exactly_where_all_are_tied(value):
    assert flat(largest({"a": torch.full((3, 7), value)}, 0.5)).tolist() == [1] * 10 + [0] * 11


@pytest.mark.parametrize("factor", [-1, 4, -0.25])
def test_largest_depends_neither_on_sign_nor_on_scale(factor):
    g = gradients()

    assert torch.equal(flat(largest({n: factor * x for n, x in g.items()}, 0.4)), flat(largest(g, 0.4)))


def test_largest_leaves_the_gradients_alone_and_ranks_over_all_layers():
    g = {"small": torch.full((4,), -0.1), "large": torch.tensor([3.0, -5.0, 1.0, -2.0])}
    before = {n: x.clone() for n, x in g.items()}

    mask = largest(g, 0.5)

    assert mask["small"].tolist() == [0] * 4
    assert mask["large"].tolist() == [1] * 4
    assert differing(before, g) == []


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
def test_shares_that_are_none(share):
    with pytest.raises(ValueError, match="share of weights"):
        largest(gradients(), share)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("make", [lambda g: largest(g, 0.5), soft])
def test_gradients_that_are_not_finite(bad, make):
    g = gradients()
    g["b"][3] = bad

    with pytest.raises(ValueError, match="NaN or infinite"):
        make(g)


def test_soft_is_the_formula_with_the_median():
    g = gradients()
    size = flat(g).abs().double()
    m = size.sort().values[23]

    mask = soft(g, kappa=0.7)

    assert torch.allclose(flat(mask).double(), torch.tanh(0.7 * size / (2 * m)), atol=1e-6)
    assert torch.allclose(flat(mask).double(), (2 / (1 + torch.exp(-0.7 * size / m)) - 1).abs(), atol=1e-6)
    assert {n: p.shape for n, p in mask.items()} == {n: x.shape for n, x in g.items()}


@pytest.mark.parametrize(
    ("scale", "m"),
    [
        ("rms", lambda s: s.square().mean().sqrt()),
        ("mean", lambda s: s.mean()),
        ("max", lambda s: s.max()),
        ("none", lambda s: 1.0),
    ],
)
def test_other_scales(scale, m):
    g = gradients()
    size = flat(g).abs().double()

    assert torch.allclose(
        flat(soft(g, kappa=2.0, scale=scale)).double(), torch.tanh(size / m(size)), atol=1e-6
    )


def test_the_median_weight_moves_at_half_rate():
    assert float(flat(soft(gradients())).median()) == pytest.approx(0.5, abs=1e-6)


def test_soft_lies_in_0_to_1_grows_with_the_size_and_is_0_only_for_0():
    g = {"a": torch.tensor([0.0, 1e-3, -0.5, 1.0, 2.0, -1e6, 3e38, 0.0])}

    mask = soft(g)["a"]

    assert mask[0] == mask[7] == 0
    assert (mask[1:7] > 0).all()
    assert (mask < 1).all()
    assert (mask[:7].diff() >= 0).all()
    assert (mask[:5].diff() > 0).all()


def test_soft_is_even_and_scale_free_but_not_as_printed():
    g = gradients()

    for factor in (-1, 1000.0, 1e-3):
        other = {n: factor * x for n, x in g.items()}
        assert torch.allclose(flat(soft(other)), flat(soft(g)), atol=1e-6)
    tenfold = {n: 10 * x for n, x in g.items()}
    assert not torch.allclose(flat(soft(tenfold, scale="none")), flat(soft(g, scale="none")), atol=0.1)


def test_soft_takes_the_median_of_what_is_not_zero_if_most_is():
    g = {"a": torch.tensor([0.0] * 9 + [1.0, 2.0, 3.0])}

    expected = [0] * 9 + [math.tanh(math.log(3) * v / 4) for v in (1, 2, 3)]
    assert soft(g)["a"].tolist() == pytest.approx(expected)


def test_no_gradient_at_all_makes_no_soft_mask():
    with pytest.raises(ValueError, match="would freeze every weight"):
        soft({"a": torch.zeros(3)})


def test_describe():
    about = describe({"a": torch.tensor([0.0, 0.5, 1.0]), "b": torch.tensor([[0.25], [0.75]])})

    assert about["mean"] == 0.5
    assert about["below_1e-3"] == 0.2
    assert about["quantiles"] == {"1": 0.0, "25": 0.25, "50": 0.5, "75": 0.75, "99": 1.0}


@pytest.fixture
def model():
    stats = torch.tensor([0.4]), torch.tensor([0.3])
    built = build(MODELS["small-cnn"], 3, *stats, gen()).train()
    built(torch.rand(16, 1, 8, 8, generator=gen(8)))  # statistics unlike the batches'
    return built


@pytest.fixture
def batches():
    rng = gen(1)
    return [(torch.rand(n, 1, 8, 8, generator=rng), torch.randint(3, (n,), generator=rng)) for n in (6, 6, 3)]


@pytest.mark.parametrize("training", [True, False])
def test_saliency_is_the_signed_sum_of_each_batchs_gradient_in_eval_mode(model, batches, training):
    twin = copy.deepcopy(model).eval()
    expected = {n: torch.zeros_like(p) for n, p in model.named_parameters()}
    for x, y in batches:
        twin.zero_grad()
        cross_entropy_loss(twin, x, y).backward()
        for n, p in twin.named_parameters():
            expected[n] += p.grad
    before = {n: t.clone() for n, t in model.state_dict().items()}

    found = saliency(model.train(training), cross_entropy_loss, batches)

    assert found.keys() == expected.keys()
    assert all(torch.allclose(found[n], expected[n], atol=1e-6) for n in expected)
    assert (flat(found) < 0).any()
    assert differing(before, model.state_dict()) == []
    assert model.training is training
    assert all(p.grad is None for p in model.parameters())


def test_saliency_takes_a_loss_that_leaves_parameters_out(model, batches):
    found = saliency(model, lambda m, x, y: m.features(x).square().mean(), batches)

    assert not found["head.weight"].any()
    assert found["backbone.0.weight"].any()


def test_saliency_skips_frozen_parameters_and_restores_the_mode_after_a_failure(model, batches):
    model.head.requires_grad_(False)

    assert not any(n.startswith("head") for n in saliency(model, cross_entropy_loss, batches))

    def broken(m, x, y):
        raise RuntimeError("no loss")

    with pytest.raises(RuntimeError, match="no loss"):
        saliency(model.train(), broken, batches)
    assert model.training
