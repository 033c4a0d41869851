"""MUNBa: the bargain's equation, its step and its cost."""

import pytest
import torch

from mubench import cross_entropy_loss
from mubench.methods import munba as module
from mubench.methods._steps import clipped
from mubench.methods.ft import fine_tune
from mubench.methods.munba import bargain, munba


def pair(seed, tilt=0.0):
    """Two gradients of 7 + 5 entries, of unlike length, float64; the second leans by `tilt` on the first."""
    one, two = torch.randn(2, 12, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    two = 30 * (two + tilt * one)
    return one.split([7, 5]), two.split([7, 5])


@pytest.mark.parametrize("tilt", [-3.0, -0.5, 0.0, 0.5, 3.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_bargain_solves_its_equation(seed, tilt):
    g_r, g_f = pair(seed, tilt)
    gram = torch.stack([torch.cat(g_r), torch.cat(g_f)])
    gram = gram @ gram.T

    alpha = torch.stack(bargain(g_r, g_f))

    torch.testing.assert_close(gram @ alpha, 1 / alpha)
    assert (alpha > 0).all()
    # the published closed form
    a, b, c = gram[0, 0], gram[0, 1], gram[1, 1]
    first = ((a * c - b * (a * c).sqrt()) / (a * a * c - a * b * b)).sqrt()
    torch.testing.assert_close(alpha, torch.stack([first, (1 - a * first**2) / (b * first)]))


@pytest.mark.parametrize("tilt", [-3.0, 0.0, 3.0])
def test_the_bargain_bisects_and_its_length_is_root_two(tilt):
    g_r, g_f = (torch.cat(g) for g in pair(2, tilt))
    a, b = bargain([g_r], [g_f])
    direction = a * g_r + b * g_f

    assert float(direction.norm()) == pytest.approx(2**0.5)
    cosines = [float(torch.cosine_similarity(direction, g, dim=0)) for g in (g_r, g_f)]
    assert cosines[0] == pytest.approx(cosines[1])
    assert cosines[0] > 0


@pytest.mark.parametrize("other", [torch.tensor([-2.0, 0.0]), torch.zeros(2)])
def test_where_no_bargain_is_struck_forgetting_counts_a_tenth(other):
    a, b = bargain([torch.tensor([1.0, 0.0])], [other])

    assert (float(a), float(b)) == (1.0, pytest.approx(0.1))


def test_clipping_shortens_and_never_lengthens():
    (long,), (short,) = clipped([torch.tensor([3.0, 4.0])], 1.0), clipped([torch.tensor([0.3, 0.4])], 1.0)

    torch.testing.assert_close(long, torch.tensor([0.6, 0.8]))
    assert torch.equal(short, torch.tensor([0.3, 0.4]))


def test_first_step_by_hand(lab, gradient, monkeypatch):
    bench = lab(n_f=8, n_r=8, batch_size=8, augment=False)
    monkeypatch.setattr(module, "random_labels", lambda y, *_, exclude_true: (y + 1) % 3)
    model = bench.model()
    g_r = gradient(model, cross_entropy_loss, bench.x("retain"), bench.y("retain"))
    g_f = gradient(model, cross_entropy_loss, bench.x("forget"), (bench.y("forget") + 1) % 3)
    lengths = [torch.cat([p.flatten() for p in g.values()]).norm() for g in (g_r, g_f)]
    bisector = {n: g_r[n] / lengths[0] + g_f[n] / lengths[1] for n in g_r}
    length = torch.cat([p.flatten() for p in bisector.values()]).norm()

    done = bench.run(munba, epochs=1, lr=0.1)

    for name, move in done.moves.items():
        expected = -0.1 * (bisector[name] / length + 5e-4 * done.before[name])
        torch.testing.assert_close(move, expected, atol=1e-6, rtol=1e-4)


def test_labels_are_drawn_of_all_classes_and_anew(lab, monkeypatch):
    drawn, real = [], module.random_labels

    def spy(*given, **options):
        drawn.append(real(*given, **options))
        return drawn[-1]

    monkeypatch.setattr(module, "random_labels", spy)
    lab(n_f=12, n_r=12, batch_size=12).run(munba, epochs=8)

    assert torch.bincount(torch.cat(drawn), minlength=3).min() > 96 / 3 / 2
    assert len({tuple(d.tolist()) for d in drawn}) == 8


def test_equals_ft_with_an_empty_forget_set(lab, bits):
    bargained, tuned = lab(n_f=0).run(munba, epochs=3), lab(n_f=0).run(fine_tune, epochs=3)

    assert bits(bargained.after, tuned.after)
    assert bits(bargained.buffers_after, tuned.buffers_after)


def test_it_forgets(lab):
    bench = lab(n_f=12)

    done = bench.run(munba, epochs=5, lr=0.05)

    assert bench.loss(done.model, "forget") > bench.loss(bench.model(), "forget") + 0.1


def test_rate_zero_leaves_the_weights(lab, bits):
    done = lab().run(munba, epochs=2, lr=0.0)

    assert bits(done.before, done.after)


@pytest.mark.parametrize(("n_f", "n_r", "used"), [(6, 15, 6), (16, 8, 8)])
def test_cost_is_both_sets_of_which_forget_ends_with_retain(lab, n_f, n_r, used):
    done = lab(n_f=n_f, n_r=n_r, batch_size=4).run(munba, epochs=3)

    assert done.cost == (3 * (used + n_r), 3 * (used + n_r))
    assert done.ledger.reads == {"forget": 3 * used, "retain": 3 * n_r}
