"""Squared gradients: known values, and what must not change."""

import pytest
import torch
from torch import nn

from mubench import cross_entropy_loss, squared_gradients


def dot(model, x):
    """Mean over the batch of a linear function, whose gradient is the mean image."""
    return model(x).mean()


@pytest.fixture
def line():
    return nn.Linear(2, 1, bias=False)


def batches(*rows):
    return [(torch.tensor(r),) for r in rows]


def test_single_images_give_the_mean_square(line):
    found = squared_gradients(line, dot, batches([[1.0, -2.0]], [[-3.0, 0.0]]))

    torch.testing.assert_close(found, {"weight": torch.tensor([[5.0, 2.0]])})


def test_opposite_images_of_one_batch_cancel(line):
    found = squared_gradients(line, dot, batches([[1.0, -2.0], [-1.0, 4.0]]))

    torch.testing.assert_close(found, {"weight": torch.tensor([[0.0, 1.0]])})


def test_no_batches_give_zeros(line):
    assert torch.equal(squared_gradients(line, dot, [])["weight"], torch.zeros(1, 2))


def test_softmax_regression_in_closed_form():
    """(p_k - [k = y])^2 h^2, and (p_k - [k = y])^2 for the bias, mean over images."""
    model = nn.Linear(5, 3).double()
    x, y = torch.randn(7, 5, dtype=torch.float64), torch.arange(7) % 3
    miss = (model(x).softmax(1) - torch.eye(3)[y]).detach() ** 2

    found = squared_gradients(model, cross_entropy_loss, zip(x.split(1), y.split(1), strict=True))

    torch.testing.assert_close(found["weight"], miss.T @ x**2 / 7)
    torch.testing.assert_close(found["bias"], miss.mean(0))


@pytest.mark.parametrize("training", [True, False])
def test_weights_statistics_and_mode_stay(training):
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).train(training)
    before = {n: t.clone() for n, t in model.state_dict().items()}

    squared_gradients(model, cross_entropy_loss, [(torch.randn(4, 2), torch.tensor([0, 1, 2, 0]))])

    assert model.training is training
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
