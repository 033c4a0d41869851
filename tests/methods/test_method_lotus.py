"""LoTUS: its targets, its temperature, when it ends, and the cost."""

import math

import pytest
import torch

from mubench import AdamStep, cross_entropy_loss
from mubench.methods import lotus as module
from mubench.methods.lotus import gumbel, lotus, soft_cross_entropy, tempered

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.0, 0.5, 1.0]])


def test_targets_are_smooth_for_forget_and_hard_for_retain():
    found = tempered(LOGITS, torch.zeros(2, 3), torch.tensor([1, 0]), 2.0)

    torch.testing.assert_close(found[0], (LOGITS[0] / 2).softmax(0))
    assert torch.equal(found[1], torch.tensor([0.0, 0.0, 1.0]))


def test_temperature_goes_from_certain_to_uniform():
    noise, forget = torch.tensor([[0.0, 5.0, 0.0]] * 2), torch.tensor([1, 1])

    torch.testing.assert_close(tempered(LOGITS, noise, forget, 1e6), torch.full((2, 3), 1 / 3))
    torch.testing.assert_close(tempered(LOGITS, noise, forget, 1e-3), torch.tensor([[0.0, 1.0, 0.0]] * 2))


def test_hard_targets_are_drawn_from_the_softmax():
    n = 20000
    logits = LOGITS[:1].expand(n, 3)

    drawn = tempered(logits, gumbel(logits, torch.Generator().manual_seed(0)), torch.zeros(n), 1.0)

    expected = LOGITS[0].softmax(0)
    error = (expected * (1 - expected) / n).sqrt()
    assert ((drawn.mean(0) - expected).abs() < 4 * error).all()


def test_loss_with_hard_targets_is_cross_entropy(lab):
    bench = lab()
    model, x, y = bench.model().eval(), bench.x("retain"), bench.y("retain")

    found = soft_cross_entropy(model, x, torch.eye(3)[y]).detach()

    assert float(found) == pytest.approx(bench.loss(model, "retain"))
    assert float(cross_entropy_loss(model, x, y).detach()) == pytest.approx(float(found))


@pytest.mark.parametrize("alpha", [2.0, 8.0])
def test_first_temperature_follows_the_accuracies(lab, alpha):
    bench = lab(n_f=12)
    right = float((bench.model().eval()(bench.x("forget")).argmax(1) == bench.y("forget")).float().mean())

    done = bench.run(lotus, epochs=1, alpha=alpha, unseen=0.6)

    assert right > 0.6
    assert done.notes["temperatures"] == pytest.approx([math.exp(alpha * (right - 0.6))])


def test_images_of_a_class_that_is_gone_are_to_be_at_zero(lab):
    bench = lab(n_f=12, n_r=15)
    images, labels = bench.data["retain"]
    bench.data["retain"] = images, labels.clamp(min=1)  # class 0 is in the forget set alone: 4 of 12
    right = float((bench.model().eval()(bench.x("forget")).argmax(1) == bench.y("forget")).float().mean())

    done = bench.run(lotus, epochs=1, alpha=1.0, unseen=0.9)

    assert done.notes["temperatures"] == pytest.approx([math.exp(right - 0.9 * 8 / 12)])


def test_it_ends_where_the_forget_set_is_below_unseen_data(lab, bits):
    bench = lab(n_f=6)
    bench.data["forget"] = bench.data["forget"][0], (bench.y("forget") + 1) % 3
    done = bench.run(lotus, unseen=0.9)

    assert bits(done.before, done.after)
    assert done.notes["temperatures"] == []
    assert done.cost == (6, 0)
    assert done.ledger.reads == {"forget": 6, "retain": 0}


def test_the_same_part_of_the_retain_set_is_shown_every_epoch(lab, monkeypatch):
    bench, seen = lab(n_f=6, n_r=20, augment=False), []

    class Spy(AdamStep):
        def __call__(self, x, target):
            seen.extend(row.numpy().tobytes() for row in x)
            return super().__call__(x, target)

    monkeypatch.setattr(module, "AdamStep", Spy)
    bench.run(lotus, epochs=3, unseen=0.0)

    forget = {row.numpy().tobytes() for row in bench.x("forget")}
    retain = {row.numpy().tobytes() for row in bench.x("retain")}
    epochs = [set(seen[12 * i : 12 * (i + 1)]) for i in range(3)]
    assert epochs[0] == epochs[1] == epochs[2]
    assert forget < epochs[0] < forget | retain


def test_teacher_is_the_original_to_the_end(lab, bits, monkeypatch):
    bench, targets = lab(n_f=6, n_r=20, augment=False), []
    original = bench.model().eval()

    def spy(logits, noise, forget, temperature):
        targets.append(logits)
        return tempered(logits, noise, forget, temperature)

    monkeypatch.setattr(module, "tempered", spy)
    done = bench.run(lotus, epochs=3, lr=0.01, unseen=0.0)

    known = original(torch.cat([bench.x("forget"), bench.x("retain")])).detach()
    distance = (torch.cat(targets)[:, None] - known).norm(dim=2).min(1).values
    assert not bits(done.before, done.after)
    assert distance.max() < 1e-5


def test_it_smooths_the_forget_set(lab):
    bench = lab(n_f=12)

    def entropy(model):
        p = model.eval()(bench.x("forget")).softmax(1)
        return float(-(p * p.log()).sum(1).mean().detach())

    done = bench.run(lotus, epochs=10, lr=1e-2, alpha=2.0, unseen=0.0)

    assert entropy(done.model) > entropy(bench.model()) + 0.05


def test_rate_zero_leaves_the_weights(lab, bits):
    done = lab().run(lotus, epochs=2, lr=0.0)

    assert bits(done.before, done.after)


def test_cost_is_as_declared(lab):
    done = lab(n_f=6, n_r=20).run(lotus, epochs=4, unseen=0.0, share=0.3)

    assert done.cost == (4 * (6 + 2 * (6 + 6)), 4 * (6 + 6))
    assert done.ledger.reads == {"forget": 4 * 2 * 6, "retain": 4 * 6}
