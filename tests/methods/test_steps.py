"""The shared updates: along a given direction."""

import torch

from mubench import Step, cross_entropy_loss
from mubench.methods._steps import along, gradient, inner, negative_cross_entropy, valued_gradient


def batches(bench, count=3):
    x, y = bench.x("retain"), bench.y("retain")
    return [(x[i::count], y[i::count]) for i in range(count)]


def test_following_the_gradient_is_the_same_as_descending_the_loss(lab, bits):
    bench = lab()
    one, two = bench.model(), bench.model()
    descend, follow = Step(one, cross_entropy_loss, 0.1), Step(two, along, 0.1)

    for batch in batches(bench):
        descend(*batch)
        follow(*gradient(two, cross_entropy_loss, *batch))

    assert bits(one.state_dict(), two.state_dict())


def test_gradients_by_hand_on_a_linear_model(lab):
    bench = lab(linear=True)
    model, x, y = bench.model(), bench.x("retain"), bench.y("retain")
    with torch.no_grad():
        wrong = (model(x).softmax(1) - torch.eye(3)[y]) / len(y)
        features = model.features(x)

    value, (weight, bias) = valued_gradient(model, cross_entropy_loss, x, y)

    torch.testing.assert_close(weight, wrong.T @ features)
    torch.testing.assert_close(bias, wrong.sum(0))
    torch.testing.assert_close(value, cross_entropy_loss(model, x, y).detach())
    opposite = gradient(model, negative_cross_entropy, x, y)
    torch.testing.assert_close(
        inner((weight, bias), opposite), -(weight.square().sum() + bias.square().sum())
    )
