"""DELETE: the target, the pull towards it, and what stays untouched."""

import pytest
import torch

from mubench.methods import delete as module
from mubench.methods.delete import decoupled_distillation, distil, without_true


class Logits(torch.nn.Module):
    """A model whose logits are its inputs."""

    def forward(self, x):
        return x


def drawn_logits(n=6):
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(1)) * 3, torch.arange(n) % 4


def test_target_by_hand():
    z = torch.tensor([[0.0, 1.0, 2.0]]).log1p()  # probabilities 1/6, 2/6, 3/6

    torch.testing.assert_close(
        without_true(Logits(), z, torch.tensor([2])), torch.tensor([[1 / 3, 2 / 3, 0]])
    )
    torch.testing.assert_close(
        without_true(Logits(), z, torch.tensor([0])), torch.tensor([[0, 2 / 5, 3 / 5]])
    )


def test_target_is_the_teachers_view_without_the_true_class():
    z, y = drawn_logits()

    q = without_true(Logits(), z, y)

    p = z.softmax(1) * (1 - torch.eye(4)[y])
    torch.testing.assert_close(q, p / p.sum(1, keepdim=True))
    assert (q[torch.arange(6), y] == 0).all()


def test_true_logit_alone_decides_how_far_the_original_is():
    """KL(q || p) = -log(1 - p_y), with the gradient p_y for the true logit and -q_k p_y for another."""
    z, y = drawn_logits()
    z.requires_grad_()
    q, p = without_true(Logits(), z, y), z.detach().softmax(1)
    p_y = p.gather(1, y[:, None])

    loss = distil(Logits(), z, q)
    (slope,) = torch.autograd.grad(loss, z)

    torch.testing.assert_close(loss.detach(), -(1 - p_y).log().mean())
    torch.testing.assert_close(slope, p_y * (torch.eye(4)[y] - q) / 6)


def test_first_step_by_hand_on_a_linear_model(lab):
    bench = lab(n_f=8, batch_size=8, augment=False, linear=True)
    model = bench.model().eval()
    with torch.no_grad():
        p, h = model(bench.x("forget")).softmax(1), model.features(bench.x("forget"))
    true = torch.eye(3)[bench.y("forget")]
    q = p * (1 - true) / (p * (1 - true)).sum(1, keepdim=True)

    moves = bench.run(decoupled_distillation, epochs=1, lr=0.1).moves

    torch.testing.assert_close(moves["head.bias"], -0.1 * (p - q).mean(0), atol=2e-6, rtol=1e-4)
    torch.testing.assert_close(moves["head.weight"], -0.1 * (p - q).T @ h / 8, atol=2e-6, rtol=1e-4)


def test_teacher_is_the_original_to_the_end(lab, bits, monkeypatch):
    bench, teachers = lab(), []
    original = {k: v.clone() for k, v in bench.model().state_dict().items()}
    true = module.without_true

    def spy(teacher, *rest):
        teachers.append(teacher)
        assert not teacher.training
        return true(teacher, *rest)

    monkeypatch.setattr(module, "without_true", spy)

    done = bench.run(decoupled_distillation, epochs=3, lr=0.05)

    assert len(teachers) == 6
    assert all(t is teachers[0] and t is not done.model for t in teachers)
    assert bits(original, teachers[0].state_dict())
    assert not bits(done.before, done.after)


def test_true_classes_are_forgotten(lab):
    bench = lab(n_f=12)
    before = bench.model().eval()(bench.x("forget")).argmax(1)
    assert before.eq(bench.y("forget")).all()

    model = bench.run(decoupled_distillation, epochs=30, lr=0.05).model

    assert model.eval()(bench.x("forget")).argmax(1).eq(bench.y("forget")).float().mean() < 0.5


@pytest.mark.parametrize("freeze_bn", [False, True])
def test_statistics_drift_unless_frozen(lab, bits, freeze_bn):
    done = lab().run(decoupled_distillation, epochs=2, freeze_bn=freeze_bn)

    assert bits(done.buffers_before, done.buffers_after) is freeze_bn
    assert not bits(done.before, done.after)


def test_rate_zero_leaves_the_weights(lab, bits):
    done = lab().run(decoupled_distillation, epochs=2, lr=0.0)

    assert bits(done.before, done.after)


def test_retain_set_is_never_touched_and_cost_holds_the_teacher(lab):
    done = lab(n_f=6).run(decoupled_distillation, epochs=4)

    assert decoupled_distillation.__mubench__[0].sees == ("forget",)
    assert done.ledger.reads == {"forget": 24, "retain": 0}
    assert done.cost == (2 * 24, 24)
