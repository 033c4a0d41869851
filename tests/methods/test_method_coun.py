"""CoUn: InfoNCE of two views against a slow loop, and cross-entropy beside it."""

import math

import pytest
import torch

from mubench import Step, cross_entropy_loss
from mubench.methods import coun as module
from mubench.methods.coun import coun, fit_and_contrast, nt_xent
from mubench.methods.ft import fine_tune


def slow(one, two, tau):
    """The definition, view by view."""
    z = torch.cat([one, two])
    n, total = len(one), 0.0
    for i in range(2 * n):
        e = [math.exp(float(torch.cosine_similarity(z[i], z[j], dim=0)) / tau) for j in range(2 * n)]
        total -= math.log(e[(i + n) % (2 * n)] / (sum(e) - e[i]))
    return total / (2 * n)


@pytest.mark.parametrize("tau", [0.1, 1.0])
def test_contrast_is_the_definition(tau):
    one, two = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    assert float(nt_xent(one, two, tau)) == pytest.approx(slow(one, two, tau))


def test_contrast_of_orthogonal_pairs_in_closed_form():
    """Each view has one partner at similarity 1 and 2n - 2 others at 0."""
    assert float(nt_xent(torch.eye(3), torch.eye(3), 0.5)) == pytest.approx(math.log(1 + 4 * math.exp(-2)))


def test_contrast_of_a_single_image_is_zero():
    assert float(nt_xent(torch.ones(1, 3), torch.ones(1, 3), 0.1)) == pytest.approx(0.0)


def test_first_step_by_hand(lab, gradient):
    bench = lab(n_r=8, batch_size=8, augment=False)
    x, y = bench.x("retain"), bench.y("retain")

    def loss(model, x, y):
        h = model.features(torch.cat([x, x]))
        return cross_entropy_loss(model.head, h[:8], y) + 0.5 * nt_xent(h[:8], h[8:], 0.2)

    slope = gradient(bench.model(), loss, x, y)

    done = bench.run(coun, epochs=1, lr=0.1, weight=0.5, tau=0.2)

    for name, move in done.moves.items():
        expected = -0.1 * (slope[name] + 5e-4 * done.before[name])
        torch.testing.assert_close(move, expected, atol=2e-6, rtol=1e-4)


def test_equals_ft_without_contrast_and_augmentation(lab, vector):
    """Two equal views have the batch statistics of one, up to rounding."""
    contrast = lab(augment=False).run(coun, epochs=3, weight=0.0)
    tuned = lab(augment=False).run(fine_tune, epochs=3, lr=0.01)

    torch.testing.assert_close(vector(contrast.after), vector(tuned.after), atol=1e-5, rtol=1e-4)


def test_contrast_falls(lab):
    bench = lab(n_r=24)
    views = bench.x("retain"), bench.x("retain").flip(3), bench.y("retain")
    only = fit_and_contrast(1.0, 0.5)

    def contrast(model):
        with torch.no_grad():
            return float(only(model.eval(), *views)) - bench.loss(model, "retain")

    done = bench.run(coun, epochs=20, lr=0.02, tau=0.5)

    assert contrast(done.model) < contrast(bench.model()) - 0.02


def test_rate_zero_leaves_the_weights(lab, bits):
    done = lab().run(coun, lr=0.0)

    assert bits(done.before, done.after)


def test_labels_belong_to_their_images(lab, monkeypatch):
    """Each batch's images carry the brightness of their class."""
    bench, seen = lab(n_r=24, augment=False), []

    class Spy(Step):
        def __call__(self, v, w, y):
            seen.extend(zip(v, w, y.tolist(), strict=True))
            return super().__call__(v, w, y)

    monkeypatch.setattr(module, "Step", Spy)
    bench.run(coun, epochs=1)

    rows = {
        x.numpy().tobytes(): k for x, k in zip(bench.x("retain"), bench.y("retain").tolist(), strict=True)
    }
    assert len(seen) == 24
    assert all(rows[v.numpy().tobytes()] == rows[w.numpy().tobytes()] == k for v, w, k in seen)


def test_cost_is_two_views_of_the_retain_set_and_nothing_else(lab):
    done = lab(n_f=6, n_r=15).run(coun, epochs=4)

    assert coun.__mubench__[0].sees == ("retain",)
    assert done.cost == (4 * 2 * 15, 4 * 2 * 15)
    assert done.ledger.reads == {"forget": 0, "retain": 4 * 15}
