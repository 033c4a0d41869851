"""AMUN: the attack against a slow loop and a bound, what is trained on, and the cost."""

import math

import pytest
import torch

from mubench import Step, cross_entropy_loss
from mubench.methods import amun as module
from mubench.methods.amun import amun, nearest_wrong


def slow(model, x, y, eps, steps):
    """The attack of one image: the image found, its class, the number of times the model was asked."""
    z, radius, asked = x[None], eps, 0
    while radius < 2 * math.sqrt(x.numel()):
        for _ in range(steps):
            z = z.detach().requires_grad_()
            logits, asked = model(z), asked + 1
            if int(logits.argmax()) != int(y):
                return z.detach()[0], int(logits.argmax()), asked
            cross_entropy_loss(model.head, model.features(z), y[None]).backward()
            delta = z.detach() + radius / 10 * z.grad / z.grad.norm() - x
            if delta.norm() > radius:
                delta = delta * radius / delta.norm()
            z = (x + delta).clamp(0, 1)
        radius *= 2
    return z.detach()[0], int(y), asked


@pytest.mark.parametrize("steps", [3, 50])
def test_attack_is_the_slow_loop(lab, steps):
    bench = lab(n_f=9)
    model, x, y = bench.model().eval(), bench.x("forget"), bench.y("forget")
    expected = [slow(model, a, b, 0.04, steps) for a, b in zip(x, y, strict=True)]

    found, classes = nearest_wrong(model, x, y, 0.04, steps)

    assert classes.tolist() == [k for _, k, _ in expected]
    torch.testing.assert_close(found, torch.stack([z for z, _, _ in expected]), atol=1e-4, rtol=0)
    assert (classes != y).all()
    assert torch.equal(model(found).argmax(1), classes)
    assert found.min() >= 0
    assert found.max() <= 1


def test_attack_on_a_linear_model_is_near_the_boundary(lab):
    """The distance to class k is (gap of the logits) / |w_k - w_y|: none is nearer, none twice as far."""
    bench = lab(n_f=12, linear=True)
    model, x, y = bench.model().eval(), bench.x("forget"), bench.y("forget")
    with torch.no_grad():
        logits, w = model(x), model.head.weight / model.std.flatten()
        gaps = logits.gather(1, y[:, None]) - logits
        distances = (w[None] - w[y][:, None]).norm(dim=2)
    nearest = (gaps / distances).nan_to_num(nan=float("inf")).min(1).values.clamp(min=0)

    found, classes = nearest_wrong(model, x, y, 0.04, 50)

    moved = (found - x).flatten(1).norm(dim=1)
    assert (classes != y).all()
    assert (moved >= nearest - 1e-4).all()
    assert (moved <= 2 * nearest + 0.04).all()


def test_images_that_withstand_are_left_out(lab):
    bench = lab(n_f=6)
    model = bench.model()
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(torch.tensor([1.0, 0.0, 0.0]))
    x, y = bench.x("forget"), bench.y("forget")

    found, classes = nearest_wrong(model.eval(), x, y, 0.04, 2)
    done = bench.run(amun, model=model, epochs=0, steps=2)

    assert (classes == 0).all()
    assert torch.equal(found, x)
    assert done.notes["attack_success"] == pytest.approx(4 / 6)
    assert done.notes["attack_distance"] == 0


def test_each_epoch_shows_all_three_sets_once(lab, monkeypatch):
    bench, seen = lab(n_f=6, n_r=15, augment=False), []

    class Spy(Step):
        def __call__(self, x, y):
            seen.append((x, y))
            return super().__call__(x, y)

    monkeypatch.setattr(module, "Step", Spy)
    found, classes = nearest_wrong(bench.model().eval(), bench.x("forget"), bench.y("forget"), 0.04, 50)

    bench.run(amun, epochs=1)

    images = torch.cat([bench.x("forget"), bench.x("retain"), found])
    labels = torch.cat([bench.y("forget"), bench.y("retain"), classes])
    shown, told = torch.cat([x for x, _ in seen]), torch.cat([y for _, y in seen])
    match = torch.cdist(shown.flatten(1), images.flatten(1)).argmin(1)
    assert sorted(match.tolist()) == list(range(6 + 15 + 6))
    assert torch.equal(told, labels[match])
    assert all(4 <= len(y) <= 6 for _, y in seen)


def test_the_rate_falls_by_ten(lab, monkeypatch):
    schedules = []

    def spy(model, loss, lr, schedule):
        schedules.append(schedule)
        return Step(model, loss, lr, schedule=schedule)

    monkeypatch.setattr(module, "Step", spy)
    lab(n_f=6, n_r=15, batch_size=4).run(amun, epochs=0, lr_step=2)

    assert [schedules[0](i) for i in (0, 11, 12, 23, 24)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])


def test_rate_zero_leaves_the_weights_and_no_epoch_the_statistics(lab, bits):
    at_rest, none = lab().run(amun, epochs=2, lr=0.0), lab().run(amun, epochs=0)

    assert bits(at_rest.before, at_rest.after)
    assert bits(none.before, none.after)
    assert bits(none.buffers_before, none.buffers_after)


def test_cost_is_the_attack_and_three_sets_an_epoch(lab):
    bench = lab(n_f=8, n_r=15, batch_size=8)
    model = bench.model().eval()
    asked = [
        slow(model, a, b, 0.04, 50)[2] for a, b in zip(bench.x("forget"), bench.y("forget"), strict=True)
    ]
    back = sum(sum(a >= t for a in asked) for t in range(1, max(asked)))

    done = bench.run(amun, epochs=3)

    assert done.cost == (sum(asked) + 3 * (15 + 2 * 8), back + 3 * (15 + 2 * 8))
    assert done.ledger.reads == {"forget": 8 + 3 * 8, "retain": 3 * 15}
