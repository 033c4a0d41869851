"""Contrastive Unlearning: its loss against slow loops, its steps and its cost."""

import math

import pytest
import torch

from mubench.methods import contrastive_unlearning as module
from mubench.methods.contrastive_unlearning import contrast_and_fit, contrastive_unlearning, pull_and_push


def slow(z_f, y_f, z_r, y_r, tau):
    """The definition, image by image."""
    total = 0.0
    for z, label in zip(z_f, y_f.tolist(), strict=True):
        near = [math.exp(float(torch.cosine_similarity(z, r, dim=0)) / tau) for r in z_r]
        own = [e for e, k in zip(near, y_r.tolist(), strict=True) if k == label]
        others = [e for e, k in zip(near, y_r.tolist(), strict=True) if k != label]
        terms = [-math.log(e / (sum(own) if own else 1.0)) for e in others]
        total += sum(terms) / max(len(terms), 1)
    return total / len(y_f)


@pytest.mark.parametrize("tau", [0.1, 0.7])
@pytest.mark.parametrize("labels", [[0, 1, 2, 0, 1, 2, 1], [0] * 7, [1, 1, 1, 1, 2, 2, 2]])
def test_loss_is_the_definition(tau, labels):
    rng = torch.Generator().manual_seed(0)
    z_f, z_r = (
        torch.randn(4, 5, generator=rng, dtype=torch.float64),
        torch.randn(7, 5, generator=rng).double(),
    )
    y_f, y_r = torch.tensor([0, 1, 2, 0]), torch.tensor(labels)

    assert float(pull_and_push(z_f, y_f, z_r, y_r, tau)) == pytest.approx(slow(z_f, y_f, z_r, y_r, tau))


def test_gradient_is_finite_where_no_retain_image_shares_the_label():
    z_f = torch.randn(3, 5, generator=torch.Generator().manual_seed(1)).requires_grad_()

    pull_and_push(z_f, torch.tensor([0, 0, 0]), torch.eye(5), torch.tensor([1, 1, 2, 2, 1]), 0.5).backward()

    assert z_f.grad.isfinite().all()
    assert z_f.grad.abs().max() > 1e-3


def test_descent_leaves_the_own_class_for_the_others():
    own, other = torch.eye(2)
    z = torch.tensor([[0.9, 0.5]]).requires_grad_()

    pull_and_push(z, torch.tensor([0]), torch.stack([own, other]), torch.tensor([0, 1]), 1.0).backward()

    assert float(-z.grad[0] @ own) < 0 < float(-z.grad[0] @ other)


def test_first_step_has_no_decay(lab, gradient):
    bench = lab(n_f=5, n_r=8, batch_size=8, augment=False)
    batch = bench.x("forget"), bench.y("forget"), bench.x("retain"), bench.y("retain")
    slope = gradient(bench.model(), contrast_and_fit(3.0, 0.7), *batch)

    done = bench.run(contrastive_unlearning, epochs=1, rounds=1, lr=0.1)

    for name, move in done.moves.items():
        torch.testing.assert_close(move, -0.1 * slope[name], atol=2e-6, rtol=1e-4)


def test_without_contrast_the_loss_is_that_of_the_retain_batch(lab):
    bench = lab()
    model = bench.model().eval()
    batch = bench.x("forget"), bench.y("forget"), bench.x("retain"), bench.y("retain")

    found = contrast_and_fit(0.0, 0.7)(model, *batch).detach()

    assert float(found) == pytest.approx(bench.loss(model, "retain"))


def test_it_forgets(lab):
    bench = lab(n_f=12)

    done = bench.run(contrastive_unlearning, epochs=10, lr=0.01)

    assert bench.loss(done.model, "forget") > bench.loss(bench.model(), "forget") + 0.1


def test_rate_zero_leaves_the_weights(lab, bits):
    done = lab().run(contrastive_unlearning, lr=0.0)

    assert bits(done.before, done.after)


def test_empty_forget_set_changes_nothing(lab, bits):
    done = lab(n_f=0).run(contrastive_unlearning)

    assert bits(done.before, done.after)
    assert done.cost == (0, 0)


def test_each_forget_batch_meets_as_many_retain_batches(lab, count_steps):
    steps = count_steps(module)

    done = lab(n_f=8, n_r=16, batch_size=4).run(contrastive_unlearning, epochs=3, rounds=5)

    assert len(steps) == 3 * 2 * 5
    assert done.cost == (3 * 5 * (8 + 2 * 4), 3 * 5 * (8 + 2 * 4))
    assert done.ledger.reads == {"forget": 3 * 8, "retain": 3 * 2 * 5 * 4}
