"""CT: what is transposed, and the fine-tuning that follows."""

import pytest
import torch
from torch import nn

from mubench import cross_entropy_loss
from mubench.methods.ct import convolution_transpose, transpose_kernels


def test_rate_zero_leaves_transposed_kernels_and_nothing_else(lab):
    done = lab().run(convolution_transpose, lr=0.0)

    for name, before in done.before.items():
        expected = before.transpose(2, 3) if before.ndim == 4 else before
        assert torch.equal(done.after[name], expected)
    assert done.moves["backbone.0.weight"].any()


def test_transposed_kernels_see_transposed_images_alike(lab):
    """(W^T * x^T) = (W * x)^T, so that the features of x^T are those of x, transposed."""
    model, x = lab().model().eval(), torch.rand(4, 1, 8, 8)
    expected = model.features(x).view(4, 6, 2, 2).mT

    transpose_kernels(model)

    torch.testing.assert_close(model.features(x.mT).view(4, 6, 2, 2), expected)
    assert not torch.allclose(model.features(x).view(4, 6, 2, 2), expected.mT, atol=1e-3)


def test_twice_is_the_identity_and_other_layers_stay():
    layers = (
        nn.Conv2d(1, 2, 3),
        nn.Conv2d(2, 2, (1, 3)),
        nn.Conv2d(2, 3, 1),
        nn.BatchNorm2d(3),
        nn.Linear(3, 3),
    )
    model = nn.Sequential(*layers)
    before = [p.detach().clone() for p in model.parameters()]

    transpose_kernels(model)
    changed = [i for i, p in enumerate(model.parameters()) if not torch.equal(p, before[i])]
    transpose_kernels(model)

    assert changed == [0]
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize("epochs", [1, 3])
def test_equals_a_slow_loop(lab, epochs):
    def by_hand(model, task):
        weights = list(model.parameters())
        speed = [torch.zeros_like(p) for p in weights]
        conv = model.backbone[0]
        conv.weight.data = conv.weight.data.transpose(2, 3).contiguous()
        weights = list(model.parameters())
        for factor in [1.0, 0.75, 0.25][:epochs]:
            for x, y in task.retain:
                slopes = torch.autograd.grad(cross_entropy_loss(model, x, y), weights)
                with torch.no_grad():
                    for p, v, g in zip(weights, speed, slopes, strict=True):
                        v.copy_(0.9 * v + g + 5e-4 * p)
                        p -= 0.05 * factor * v

    done = lab().run(convolution_transpose, epochs=epochs, lr=0.05)

    expected = lab().run(by_hand, like=convolution_transpose)
    torch.testing.assert_close(done.after, expected.after, atol=2e-6, rtol=1e-4)
    torch.testing.assert_close(done.buffers_after, expected.buffers_after, atol=2e-6, rtol=1e-4)


def test_no_epoch_leaves_everything(lab, bits):
    done = lab().run(convolution_transpose, epochs=0)

    assert bits(done.before, done.after)
    assert bits(done.buffers_before, done.buffers_after)


def test_forget_set_is_never_touched_and_cost_is_epochs_times_n_r(lab):
    done = lab(n_r=15).run(convolution_transpose, epochs=2)

    assert convolution_transpose.__mubench__[0].sees == ("retain",)
    assert done.ledger.reads == {"forget": 0, "retain": 30}
    assert done.cost == (30, 30)
