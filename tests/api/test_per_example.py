"""Gradients of single images: closed forms, what autograd says of one, and what must not change."""

import pytest
import torch
from torch import nn

import mubench
from mubench import Classifier, cross_entropy_loss, fisher_diagonal, frozen, per_example_gradients
from mubench.api import per_example
from mubench.contract import check_method


@pytest.fixture
def model():
    """A small Classifier with BatchNorm whose statistics are not those of a new one."""
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten()
    made = Classifier(nn.Sequential(*layers), 16, 3, torch.tensor([0.5]), torch.tensor([0.3]))
    made(torch.rand(20, 1, 8, 8))
    return made


@pytest.fixture
def batch():
    rng = torch.Generator().manual_seed(1)
    return torch.rand(7, 1, 8, 8, generator=rng), torch.arange(7) % 3


def alone(model, x, y):
    """The gradient on one image, by autograd."""
    loss = cross_entropy_loss(model, x[None], y[None])
    return torch.autograd.grad(loss, list(model.parameters()))


def test_softmax_regression_in_closed_form():
    """(p - onehot) h^T, and p - onehot for the bias."""
    model = nn.Linear(5, 3).double()
    x, y = torch.randn(7, 5, dtype=torch.float64), torch.arange(7) % 3
    miss = (model(x).softmax(1) - torch.eye(3)[y]).detach()

    found = per_example_gradients(model, cross_entropy_loss, x, y)

    torch.testing.assert_close(found["weight"], miss[:, :, None] * x[:, None, :])
    torch.testing.assert_close(found["bias"], miss)
    fisher = fisher_diagonal(model, cross_entropy_loss, [(x[:4], y[:4]), (x[4:], y[4:])])
    torch.testing.assert_close(fisher["weight"], (miss**2).T @ x**2 / 7)
    torch.testing.assert_close(fisher["bias"], (miss**2).mean(0))


def test_each_is_what_autograd_gives_for_that_image(model, batch):
    model.eval()
    wanted = [alone(model, x, y) for x, y in zip(*batch, strict=True)]

    found = per_example_gradients(model, cross_entropy_loss, *batch)

    for i, name in enumerate(dict(model.named_parameters())):
        torch.testing.assert_close(found[name], torch.stack([w[i] for w in wanted]))
        assert not found[name].requires_grad


@pytest.mark.parametrize("training", [True, False])
def test_nothing_changes_and_every_image_counts(model, batch, training):
    model.train(training)
    before = {n: t.clone() for n, t in model.state_dict().items()}
    ledger, forward, backward = model.ledger, model.ledger.forward, model.ledger.backward

    per_example_gradients(model, cross_entropy_loss, *batch)

    assert model.training is training
    assert model.channels_last
    assert model.ledger is ledger
    assert (ledger.forward - forward, ledger.backward - backward) == (7, 7)
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())


def test_a_loss_may_use_features_head_and_more_tensors(model, batch):
    def loss(m, x, y, weight):
        return (weight * nn.functional.cross_entropy(m.head(m.features(x)), y, reduction="none")).sum()

    plain = per_example_gradients(model, cross_entropy_loss, *batch)
    twice = per_example_gradients(model, loss, *batch, torch.full((7,), 2.0))

    torch.testing.assert_close(twice, {n: 2 * g for n, g in plain.items()})


def test_fisher_is_the_same_however_batches_and_memory_are_cut(model, batch, monkeypatch):
    x, y = batch
    whole = fisher_diagonal(model, cross_entropy_loss, [batch])
    monkeypatch.setattr(per_example, "HELD", 1)

    torch.testing.assert_close(fisher_diagonal(model, cross_entropy_loss, [(x, y)]), whole)
    singles = mubench.squared_gradients(model, cross_entropy_loss, zip(x.split(1), y.split(1), strict=True))
    torch.testing.assert_close(singles, whole)
    assert not fisher_diagonal(model, cross_entropy_loss, [])["head.weight"].any()


def test_a_frozen_teacher_is_as_the_model_was_and_stays(model, batch):
    x, y = batch
    teacher = frozen(model.train())
    wanted = model.eval()(x).detach()

    step = mubench.Step(model, lambda m, x, y, known: cross_entropy_loss(m, x, y) + known.sum() * 0, 0.1)
    known = teacher(x)
    step(x, y, known)

    assert not known.requires_grad
    assert not teacher.training
    torch.testing.assert_close(teacher(x), wanted)
    assert not torch.equal(model.eval()(x), wanted)
    assert teacher.ledger is model.ledger, "its passes are the method's cost"


def test_a_method_may_use_them_all():
    @mubench.method("Per Example", sees=["forget", "retain"], cite="N")
    def mine(model, task, *, epochs: int = 1):
        """Ascends where the Fisher of D_f is large. epochs: passes."""
        teacher = frozen(model)
        fisher = fisher_diagonal(model, cross_entropy_loss, task.forget.plain())
        mask = mubench.largest(fisher, 0.5)
        step = mubench.AdamStep(model, lambda m, x, z: (m(x) - z).square().mean(), 0.01, mask=mask)
        for x, _ in task.retain.epochs(epochs):
            step(x, -teacher(x))

    assert check_method(mine)["random"].changed
