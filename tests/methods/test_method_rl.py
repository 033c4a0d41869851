"""RL: which labels are drawn, when, and in which order they are learned."""

import pytest
import torch

from mubench import Step, cross_entropy_loss
from mubench.methods import rl
from mubench.methods.rl import random_labelling, random_labels


def frequencies(exclude_true, n=30_000, k=5):
    y = torch.arange(n) % k
    drawn = random_labels(y, k, torch.Generator().manual_seed(3), exclude_true)
    return torch.bincount(y * k + drawn, minlength=k * k).view(k, k) / (n / k)


def test_labels_are_uniform_and_include_the_true_class():
    torch.testing.assert_close(frequencies(False), torch.full((5, 5), 1 / 5), atol=0.025, rtol=0)


def test_excluded_true_class_is_never_drawn_and_the_rest_is_uniform():
    found = frequencies(True)

    assert found.diagonal().eq(0).all()
    expected = (1 - torch.eye(5)) / 4
    torch.testing.assert_close(found, expected, atol=0.025, rtol=0)


@pytest.fixture
def drawn_labels(monkeypatch):
    found = []

    def spy(*args):
        found.append(random_labels(*args))
        return found[-1]

    monkeypatch.setattr(rl, "random_labels", spy)
    return found


def test_labels_are_redrawn_each_epoch(lab, drawn_labels):
    lab(n_f=12).run(random_labelling, epochs=3)

    assert len(drawn_labels) == 3
    assert not torch.equal(drawn_labels[0], drawn_labels[1])
    assert not torch.equal(drawn_labels[1], drawn_labels[2])


def test_labels_drawn_once_stay(lab, drawn_labels):
    lab(n_f=12).run(random_labelling, epochs=3, redraw="once")

    assert len(drawn_labels) == 1


def test_with_true_labels_it_is_a_pass_over_forget_then_one_over_retain(lab, bits, monkeypatch):
    def by_hand(model, task):
        fit = Step(model, cross_entropy_loss, 0.02)
        for _ in range(2):
            for images in (task.forget, task.retain):
                for x, y in images:
                    fit(x, y)

    monkeypatch.setattr(rl, "random_labels", lambda y, *_: y)

    done = lab().run(random_labelling, epochs=2, lr=0.02)

    assert bits(done.after, lab().run(by_hand, like=random_labelling).after)


def test_drawn_labels_are_what_is_learned(lab, monkeypatch):
    monkeypatch.setattr(rl, "random_labels", lambda y, *_: torch.zeros_like(y))
    bench = lab(n_f=12, n_r=3)

    done = bench.run(random_labelling, epochs=10, lr=0.05)

    assert done.model.eval()(bench.x("forget")).argmax(1).eq(0).float().mean() > 0.75
    assert bench.y("forget").eq(0).sum() == 4


def test_true_forget_labels_matter_only_to_exclude_them(lab, bits):
    one, two = lab(n_f=9), lab(n_f=9)
    two.data["forget"] = (two.data["forget"][0], (two.y("forget") + 1) % 3)

    assert bits(one.run(random_labelling, epochs=1).after, two.run(random_labelling, epochs=1).after)
    without = [b.run(random_labelling, epochs=1, exclude_true=True).after for b in (one, two)]
    assert not bits(*without)


@pytest.mark.parametrize(("order", "steps"), [("sequential", 2 + 4), ("mixed", 5)])
def test_order_decides_the_batches_not_the_cost(lab, count_steps, order, steps):
    done_steps = count_steps(rl)

    done = lab(n_f=5, n_r=15, batch_size=4).run(random_labelling, epochs=2, order=order)

    assert len(done_steps) == 2 * steps
    assert done.cost == (2 * 20, 2 * 20)
    assert done.ledger.reads == {"forget": 2 * 5, "retain": 2 * 15}
