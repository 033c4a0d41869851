"""Scissorhands: what is re-initialised, how gradients are projected, and the cost."""

import math

import pytest
import torch

from mubench import cross_entropy_loss
from mubench.discovery.find import Catalogue, load_function
from mubench.methods.scissorhands import late_mask, projected, reinitialise, scissorhands


def sensitive(bench):
    """|theta grad CE(D_f)| at theta_o in eval mode, (P,), from one batch."""
    model = bench.model().eval()
    parts = list(model.parameters())
    slopes = torch.autograd.grad(cross_entropy_loss(model, bench.x("forget"), bench.y("forget")), parts)
    return torch.cat([(p * g).abs().flatten().detach() for p, g in zip(parts, slopes, strict=True)])


@pytest.mark.slow
def test_late_on_resnet_18_is_layer3_layer4_and_the_head():
    build = Catalogue().models["resnet18"]
    backbone, width = load_function(build)(3)
    model = torch.nn.ModuleDict({"backbone": backbone, "head": torch.nn.Linear(width, 10)})

    mask = late_mask(model, 0.06)

    convolutions = {n for n, p in model.named_parameters() if p.dim() > 1}
    expected = {n for n in convolutions if "layer3" in n or "layer4" in n or "head" in n}
    assert {n for n in convolutions if mask[n].all()} == expected
    others = [n for n, p in model.named_parameters() if p.dim() == 1 and mask[n].any() and "layer2" in n]
    assert len(others) <= 2


def test_chosen_weights_are_drawn_within_the_default_bound_and_the_rest_stays(lab):
    model, before = lab().model(), dict(lab().model().named_parameters())
    rng = torch.Generator().manual_seed(0)
    chosen = {n: (torch.rand(p.shape, generator=rng) < 0.5).float() for n, p in model.named_parameters()}

    reinitialise(model, chosen, rng)

    for name, p in model.named_parameters():
        moved = p != before[name]
        if name.startswith("backbone.1"):  # BatchNorm
            assert not moved.any()
        elif name.endswith("bias"):
            assert torch.equal(p[chosen[name] > 0], torch.zeros(int(chosen[name].sum())))
            assert not moved[chosen[name] == 0].any()
        else:
            bound = p[0].numel() ** -0.5
            assert torch.equal(moved, chosen[name] > 0)
            assert bound / 2 < p[chosen[name] > 0].abs().max() <= bound


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_only_the_most_sensitive_weights_are_drawn_anew(lab, vector, share):
    bench = lab(n_f=6, batch_size=6, augment=False)
    size = sensitive(bench)
    count = math.floor(share * len(size))

    done = bench.run(scissorhands, epochs=1, lr=0.0, share=share, early=0.0)

    moved, top = vector(done.moves) != 0, torch.zeros(len(size), dtype=torch.bool)
    top[size.topk(count).indices] = True
    assert not (moved & ~top).any()
    assert moved.sum() >= count - 12  # BatchNorm's 12 weights stay


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scale", [0.01, 1.0])
def test_projection_minimises_the_dual(seed, scale):
    """min over v >= 1/2 of v^2 (|a|^2 + 1e-3) / 2 + v <g, a>, against a fine grid."""
    g, a = scale * torch.randn(2, 9, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    g = -g if g @ a > 0 else g
    grid = torch.cat([torch.linspace(0.5, 5, 90001), torch.linspace(5, 500, 99001)]).double()
    best = grid[(grid**2 * (a @ a + 1e-3) / 2 + grid * (g @ a)).argmin()]

    (found,) = projected([g], [a])

    torch.testing.assert_close(found, g + best * a, atol=scale * 1e-2, rtol=1e-2)


def test_a_gradient_that_does_not_undo_forgetting_stays():
    g = torch.tensor([1.0, 2.0])

    assert torch.equal(projected([g], [torch.tensor([2.0, -1.0])])[0], g)
    assert torch.equal(projected([g], [torch.tensor([1.0, 0.0])])[0], g)
    (turned,) = projected([g], [torch.tensor([-10.0, 0.0])])
    torch.testing.assert_close(turned, torch.tensor([-4.0, 2.0]))


@pytest.mark.parametrize("lam", [0.05, 2.0])
def test_first_step_by_hand(lab, lam):
    bench = lab(n_f=8, n_r=8, batch_size=8, augment=False)
    model = bench.model().eval()
    parts = list(model.parameters())
    forget, retain = ((bench.x(s), bench.y(s)) for s in ("forget", "retain"))
    anchor = [-g for g in torch.autograd.grad(cross_entropy_loss(model, *forget), parts)]
    anchor[0] = torch.zeros_like(anchor[0])  # the first tensor alone lies before 10 % of the weights
    model.train()
    total = cross_entropy_loss(model, *retain) - lam * cross_entropy_loss(model, *forget)
    g = projected(torch.autograd.grad(total, parts), anchor)

    done = bench.run(scissorhands, epochs=1, lr=0.1, share=0.0, lam=lam, early=0.1)

    for move, d, start in zip(done.moves.values(), g, done.before.values(), strict=True):
        torch.testing.assert_close(move, -0.1 * (d + 5e-4 * start), atol=2e-6, rtol=1e-4)


def test_rate_zero_without_trimming_leaves_the_weights(lab, bits):
    done = lab().run(scissorhands, epochs=2, lr=0.0, share=0.0)

    assert bits(done.before, done.after)


def test_empty_forget_set_changes_nothing(lab, bits):
    done = lab(n_f=0).run(scissorhands)

    assert bits(done.before, done.after)
    assert done.cost == (0, 0)


@pytest.mark.parametrize(("n_f", "n_r", "used"), [(8, 16, 8), (16, 8, 8)])
def test_cost_is_as_declared(lab, n_f, n_r, used):
    done = lab(n_f=n_f, n_r=n_r, batch_size=4).run(scissorhands, epochs=3)

    passes = 4 + 3 * (4 + used + n_r)
    assert done.cost == (passes, passes)
    assert done.ledger.reads == {"forget": 4 + 3 * (4 + used), "retain": 3 * n_r}
