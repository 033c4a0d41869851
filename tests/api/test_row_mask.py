"""A mask laid over a whole method: Steps over the model, a part, a copy or a holder of it are under it."""

import copy

import pytest
import torch
from torch import nn

from mubench import Step, cross_entropy_loss, mask
from mubench.api.row_mask import RowMask, entries_over, take_off

X, Y = torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 3


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.body, self.head = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.body(x).relu())


def drawn(model, seed=0, hard=True):
    rng = torch.Generator().manual_seed(seed)
    values = {n: torch.rand(p.shape, generator=rng) for n, p in model.named_parameters()}
    return {n: (v > 0.5).float() if hard else v for n, v in values.items()}


def stepped(model, over=None, own=None, steps=3):
    """The parameters after some steps, with decay and momentum."""
    step = Step(over or model, cross_entropy_loss, 0.1, decay=0.1, mask=own)
    for _ in range(steps):
        step(X, Y)
    return dict((over or model).named_parameters())


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[n], two[n]) for n in one)


@pytest.mark.parametrize("hard", [True, False])
def test_a_mask_laid_over_the_model_is_the_mask_of_its_steps(hard):
    by_row, by_step = Net(), Net()
    entries = drawn(by_row, hard=hard)
    laid = RowMask("m", entries, by_row)

    after = stepped(by_row)

    assert laid.used
    assert same(after, stepped(by_step, own=entries))
    start = dict(Net().named_parameters())
    assert not same(after, start)
    for name, p in after.items():
        assert torch.equal(p[entries[name] == 0], start[name][entries[name] == 0])
    laid.check("M", by_row)


def test_ones_change_no_bit_and_two_masks_are_multiplied():
    plain, ones, both, product = Net(), Net(), Net(), Net()
    RowMask("m", {n: torch.ones_like(p) for n, p in ones.named_parameters()}, ones)
    one, two = drawn(both, 1, hard=False), drawn(both, 2)
    RowMask("m", one, both)

    assert same(stepped(plain), stepped(ones))
    assert same(stepped(both, own=two), stepped(product, own={n: one[n] * two[n] for n in one}))


def test_parts_copies_and_holders_of_the_model_are_under_it():
    model = Net()
    entries = drawn(model)
    RowMask("m", entries, model)
    twin = copy.deepcopy(model)
    holder = nn.ModuleDict({"inner": model, "noise": nn.Linear(2, 2)})

    assert entries_over(twin).keys() == entries.keys()
    assert entries_over(model.head).keys() == {"weight", "bias"}
    assert torch.equal(entries_over(model.head)["weight"], entries["head.weight"])
    found = entries_over(holder)
    assert found.keys() == {f"inner.{n}" for n in entries}
    assert torch.equal(found["inner.body.bias"], entries["body.bias"])


def test_an_extra_class_moves_freely_and_the_old_ones_are_held():
    model = Net()
    RowMask("m", {n: torch.zeros_like(p) for n, p in model.named_parameters()}, model)
    old = model.head
    model.head = nn.Linear(5, 4)
    with torch.no_grad():
        model.head.weight[:3], model.head.bias[:3] = old.weight, old.bias
    extra = model.head.weight[3].clone()

    stepped(model)

    assert torch.equal(model.head.weight[:3], old.weight)
    assert not torch.equal(model.head.weight[3], extra)
    model.head = nn.Linear(6, 3)
    with pytest.raises(
        ValueError, match=r"the row's mask is \(3, 5\) for 'head.weight', which is now \(3, 6\)"
    ):
        Step(model, cross_entropy_loss, 0.1)


def test_after_it_is_taken_off_everything_moves():
    model, plain = Net(), Net()
    RowMask("m", drawn(model), model)

    take_off(model)

    assert entries_over(model) == {}
    assert same(stepped(model), stepped(plain))


def test_a_declaration_that_cannot_be_used_names_the_mask():
    with pytest.raises(TypeError, match=r"mask 'm' \(f\): sees has 'test'"):

        @mask("m", sees="test")
        def f(model, task): ...

    with pytest.raises(TypeError, match=r"mask 'm' \(g\): the signature starts"):

        @mask("m")
        def g(model): ...
