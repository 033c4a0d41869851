"""SISA and ARCANE: nothing that was forgotten is left, and only what saw it is trained anew."""

import copy

import pytest
import torch
from helpers import state

from mubench.api.recipe import Recipe
from mubench.methods.arcane import GONE, arcane, train_classes
from mubench.methods.sisa import Shards, places, renew, shortened, sisa

# method, its parameters, shard of each image
CASES = {
    "SISA": (sisa, {"shards": 3, "slices": 2}, lambda ids, labels: places(ids, 6) // 2),
    "ARCANE": (arcane, {"slices": 2}, lambda ids, labels: labels),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def slices_of(method, ids, parameters):
    shards = parameters.get("shards", 1)
    return places(ids, shards * parameters["slices"]) % parameters["slices"]


def test_two_training_sets_that_differ_in_forgotten_pixels_leave_the_same_model(lab, bits, case):
    method, parameters, _ = case
    one, two = lab(n_f=4, n_r=26), lab(n_f=4, n_r=26)
    two.data["forget"] = (255 - two.data["forget"][0], two.data["forget"][1])

    first, second = (b.own_original(method, "forget", "retain", **parameters) for b in (one, two))
    assert not bits(state(first), state(second))
    for bench, model in ((one, first), (two, second)):
        bench.run(method, model=model, **parameters)

    assert bits(state(first), state(second))


def test_deletion_leaves_what_training_without_the_forget_set_gives(lab, bits, case):
    method, parameters, _ = case
    bench = lab(n_f=4, n_r=26)

    done = bench.run(method, model=bench.own_original(method, "forget", "retain", **parameters), **parameters)

    assert not bits(done.before, done.after)
    assert bits(state(done.model), state(bench.own_original(method, "retain", **parameters)))


def test_no_forgotten_image_is_read_and_only_states_that_saw_one_are_trained(lab, bits, case):
    method, parameters, shard_of = case
    bench = lab(n_f=2, n_r=26)
    original = bench.own_original(method, "forget", "retain", **parameters)

    done = bench.run(method, model=copy.deepcopy(original), **parameters)

    where = {
        s: (shard_of(bench.ids[s], bench.y(s)), slices_of(method, bench.ids[s], parameters))
        for s in bench.ids
    }
    hit = {}
    for shard, part in zip(*(x.tolist() for x in where["forget"]), strict=True):
        hit[shard] = min(part, hit.get(shard, 9))
    for shard, states in enumerate(original.states):
        for r, before in enumerate(states):
            trained = shard in hit and r >= hit[shard]
            after = done.model.states[shard][r]
            assert trained != all(
                torch.equal(a, b) for a, b in zip(after.parameters(), before.parameters(), strict=True)
            )
    kept_shard, kept_part = where["retain"]
    reads = sum(
        shortened(bench.recipe, r, 2).epochs * int(((kept_shard == shard) & (kept_part <= r)).sum())
        for shard, first in hit.items()
        for r in range(first, 2)
    )
    assert done.ledger.reads == {"forget": 0, "retain": reads}
    assert done.ledger.backward == reads


def test_renewal_trains_the_slices_up_to_each_state_from_the_first_that_is_gone(lab):
    bench, trained = lab(n_r=30), []
    task = bench.task(sisa.__mubench__[0], bench.model().ledger)
    where = places(task.retain.ids, 6)
    model = Shards(task, 2, 3)
    numbers = {id(m): (s, r) for s, states in enumerate(model.states) for r, m in enumerate(states)}

    def learn(model, images, recipe):
        trained.append((numbers[id(model)], set(images.ids.tolist()), recipe.epochs))

    renew(model.states, task.retain, where, torch.tensor([4, 5]), task, learn)

    ids = task.retain.ids
    of = {r: set(ids[(where >= 3) & (where <= 3 + r)].tolist()) for r in (1, 2)}
    assert trained == [((1, r), of[r], shortened(task.recipe, r, 3).epochs) for r in (1, 2)]
    assert of[1] < of[2]


def test_parts_are_equal_and_follow_from_the_number_alone():
    ids = torch.arange(10_000)

    assert torch.bincount(places(ids, 10)).sub(1000).abs().max() <= 2
    assert torch.equal(places(ids[77:99], 10), places(ids, 10)[77:99])
    for classes in (2, 3, 10):  # data whose labels repeat have every class in every part
        counts = torch.bincount(places(ids, 5) * classes + ids % classes)
        assert counts.sub(2000 / classes).abs().max() <= 8


@pytest.mark.parametrize(
    ("epochs", "slices", "shares"), [(10, 1, [10]), (20, 3, [10] * 3), (7, 2, [4, 5]), (2, 4, [0, 1, 1, 1])]
)
def test_slices_share_twice_the_epochs_over_their_number_and_one(epochs, slices, shares):
    recipe = Recipe(epochs=epochs, milestones=[epochs // 2], warmup=1)

    found = [shortened(recipe, r, slices) for r in range(slices)]

    assert [one.epochs for one in found] == shares
    assert [one.milestones for one in found] == [[epochs // 2 * n // epochs] for n in shares]
    if slices == 1:
        assert found == [recipe]


def test_an_ensemble_says_the_log_of_its_members_mean_softmax(lab):
    bench = lab()
    model = bench.own_original(sisa, "retain", shards=3, slices=2).eval()
    x = bench.x("forget")

    with torch.no_grad():
        mean = torch.stack([states[-1](x).softmax(1) for states in model.states]).mean(0)
        torch.testing.assert_close(model(x).exp(), mean)


def test_one_class_models_say_minus_the_log_of_the_squared_distance(lab):
    bench = lab()
    model = bench.own_original(arcane, "retain", slices=1).eval()
    x = bench.x("forget")

    with torch.no_grad():
        for k, states in enumerate(model.states):
            far = (states[-1](x) - model.target(x)).square().sum(1)
            torch.testing.assert_close(model(x)[:, k], -far.log())


def test_one_class_models_know_their_class(lab):
    bench = lab(
        n_f=30, n_r=60, linear=True, augment=False, recipe=Recipe(epochs=60, milestones=[40], lr=0.005)
    )
    for name, (images, labels) in bench.data.items():  # each class has two lines of pixels of its own
        lines = torch.arange(8)[None] // 2 == labels[:, None]
        bench.data[name] = images * lines[:, None, :, None], labels
    model = bench.own_original(arcane, "retain", slices=1).eval()

    with torch.no_grad():
        right = (model(bench.x("forget")).argmax(1) == bench.y("forget")).float().mean()

    assert float(right) > 0.8


def test_a_class_that_is_forgotten_is_dropped_and_the_others_stay(lab, bits):
    bench = lab(n_f=12, n_r=24)
    (images, labels), ids = bench.data["retain"], bench.ids["retain"]
    bench.data["forget"], bench.ids["forget"] = (images[labels == 1], labels[labels == 1]), ids[labels == 1]
    bench.data["retain"], bench.ids["retain"] = (images[labels != 1], labels[labels != 1]), ids[labels != 1]
    original = bench.own_original(arcane, "forget", "retain", slices=2)

    done = bench.run(arcane, model=copy.deepcopy(original), slices=2)

    for k in (0, 2):
        assert bits(state(done.model.states[k]), state(original.states[k]))
    with torch.no_grad():
        z = done.model.eval()(bench.x("val"))
    assert torch.equal(z.argmin(1), torch.ones(len(z), dtype=torch.int64))
    torch.testing.assert_close(z[:, 1].exp(), torch.full((len(z),), 1 / GONE))
    assert done.ledger.reads == {"forget": 0, "retain": 0}


def test_the_original_needs_no_images_for_its_structure(lab):
    bench = lab()
    task = bench.task(arcane.__mubench__[0], bench.model().ledger)

    empty = task.retain.subset("none", torch.zeros(0, dtype=torch.int64))
    task._sets["train"] = empty

    assert {*train_classes(None, task, slices=2).state_dict()} == {
        *bench.own_original(arcane, "retain", slices=2).state_dict()
    }
