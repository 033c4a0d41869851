"""BE: the extra class comes, takes the forget images over, and goes."""

import copy

import pytest
import torch
from torch import nn

from mubench.methods import be
from mubench.methods.be import boundary_expanding, with_rows

CLASSES = 3


@pytest.fixture
def heads(monkeypatch):
    """Makes `heads(model)`: the model as it is before and after training, the wide head on it."""
    seen = []

    def watch(model):
        def spy(head, rows, rng):
            made = with_rows(head, rows, rng)
            seen.append(copy.deepcopy(model).eval())
            if rows > CLASSES:
                seen[-1].head = copy.deepcopy(made)
            return made

        monkeypatch.setattr(be, "with_rows", spy)
        return seen

    return watch


def test_widening_keeps_the_rows_and_draws_one(lab):
    head = lab().model().head

    wide = with_rows(head, CLASSES + 1, torch.Generator().manual_seed(0))

    assert wide.weight.shape == (CLASSES + 1, head.in_features)
    assert torch.equal(wide.weight[:CLASSES], head.weight)
    assert torch.equal(wide.bias[:CLASSES], head.bias)
    bound = head.in_features**-0.5
    assert 0 < wide.weight[CLASSES].abs().max() <= bound
    assert wide.weight[CLASSES].std() > bound / 4


def test_cutting_back_restores_the_head():
    head = nn.Linear(5, CLASSES)
    rng = torch.Generator().manual_seed(0)

    back = with_rows(with_rows(head, CLASSES + 1, rng), CLASSES, rng)

    assert torch.equal(back.weight, head.weight)
    assert torch.equal(back.bias, head.bias)


def test_first_k_logits_are_unchanged_before_training(lab, heads):
    bench = lab()
    model = bench.model()
    seen = heads(model)
    expected = bench.model().eval()(bench.x("retain"))

    bench.run(boundary_expanding, model=model, lr=0.1)

    logits = seen[0](bench.x("retain"))
    assert logits.shape[1] == CLASSES + 1
    torch.testing.assert_close(logits[:, :CLASSES], expected, atol=1e-6, rtol=1e-6)


def test_no_epochs_leave_the_original(lab, bits):
    done = lab().run(boundary_expanding, epochs=0)

    assert bits(done.before, done.after)


def test_shadow_class_takes_the_forget_images(lab, heads):
    bench = lab()
    model = bench.model()
    seen = heads(model)

    bench.run(boundary_expanding, model=model, epochs=5, lr=1e-2)

    before, after = (m(bench.x("forget")).softmax(1)[:, CLASSES].mean() for m in seen)
    shadow_before, shadow_after = (m(bench.x("forget"))[:, CLASSES].mean() for m in seen)
    assert shadow_after > shadow_before + 0.1
    assert after > before + 0.1


def test_returned_head_holds_the_first_k_trained_rows(lab, heads):
    bench = lab()
    model = bench.model()
    seen = heads(model)

    done = bench.run(boundary_expanding, model=model, lr=1e-2)

    assert done.model.head.out_features == CLASSES
    assert done.model(bench.x("retain")).shape[1] == CLASSES
    assert torch.equal(done.after["head.weight"], seen[1].head.weight[:CLASSES])
    assert torch.equal(done.after["head.bias"], seen[1].head.bias[:CLASSES])
    assert not torch.equal(done.after["head.weight"], done.before["head.weight"])


def test_retain_set_is_never_touched_and_cost_is_epochs_times_n_f(lab):
    done = lab(n_f=6).run(boundary_expanding, epochs=3)

    assert boundary_expanding.__mubench__[0].sees == ("forget",)
    assert done.ledger.reads == {"forget": 18, "retain": 0}
    assert done.cost == (18, 18)
