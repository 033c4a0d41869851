"""Retrain: what it may depend on, and what not."""

import torch

from mubench.api.recipe import Recipe
from mubench.methods.retrain import retrain


def test_forget_set_does_not_matter(lab, bits):
    one, two = lab(), lab(n_f=9)
    two.data["forget"][0].zero_()

    assert bits(one.run(retrain).after, two.run(retrain).after)


def test_original_does_not_matter_and_stays_as_it_was(lab, bits):
    one, two = lab(), lab(original="another")
    model = one.model()
    weights = {n: p.detach().clone() for n, p in model.named_parameters()}

    done = one.run(retrain, model=model)

    assert bits(done.after, two.run(retrain).after)
    assert done.model is not model
    assert bits(weights, dict(model.named_parameters()))


def test_retain_set_and_recipe_matter(lab):
    plain, changed = lab(), lab()
    changed.data["retain"][0][:3] = 0
    longer = lab(recipe=Recipe(epochs=3, milestones=[1]))

    weight = plain.run(retrain).after["head.weight"]

    assert not torch.equal(weight, changed.run(retrain).after["head.weight"])
    assert not torch.equal(weight, longer.run(retrain).after["head.weight"])


def test_it_learns_the_retain_set(lab):
    bench = lab(n_r=24, recipe=Recipe(epochs=15, milestones=[12], lr=0.05))
    done = bench.run(retrain)

    accuracy = (done.model.eval()(bench.x("retain")).argmax(1) == bench.y("retain")).float().mean()
    assert accuracy > 0.9


def test_cost_is_epochs_times_n_r(lab):
    done = lab(n_r=15, recipe=Recipe(epochs=3, milestones=[2])).run(retrain)

    assert done.cost == (45, 45)
    assert done.ledger.reads == {"forget": 0, "retain": 45}
    assert retrain.__mubench__[0].sees == ("retain",)
    assert retrain.__mubench__[0].role == "reference"
