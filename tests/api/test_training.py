"""Step against torch's own SGD, the mask contract and the schedules."""

import copy
import math

import pytest
import torch
from helpers import gen, state, weights
from torch.nn.functional import cross_entropy

from mubench import Step, cross_entropy_loss
from mubench.api.cost import Ledger
from mubench.api.images import Augmentation, ImageSet
from mubench.api.recipe import Recipe
from mubench.api.training import cosine, multistep, schedule_of, train
from mubench.discovery.find import Catalogue
from mubench.discovery.models import build
from mubench.running.contract import differing

MODELS = Catalogue().models

STATS = torch.tensor([0.4]), torch.tensor([0.3])


@pytest.fixture
def model():
    return build(MODELS["small-cnn"], 3, *STATS, gen()).train()


@pytest.fixture
def batches():
    """Six batches of (x, y)."""
    rng = gen(1)
    return [(torch.rand(8, 1, 8, 8, generator=rng), torch.randint(3, (8,), generator=rng)) for _ in range(6)]


def gradient(model, x, y):
    twin = copy.deepcopy(model).train()
    cross_entropy(twin(x), y).backward()
    return {n: p.grad for n, p in twin.named_parameters()}


def random_mask(model, values):
    rng = gen(2)
    return {n: values(torch.rand(p.shape, generator=rng)) for n, p in model.named_parameters()}


@pytest.mark.parametrize(
    ("momentum", "decay", "milestones"), [(0, 0, []), (0.9, 0, []), (0, 0.1, []), (0.9, 5e-2, [2, 4])]
)
def test_step_is_torchs_sgd(model, batches, momentum, decay, milestones):
    twin = copy.deepcopy(model)
    theirs = torch.optim.SGD(twin.parameters(), lr=0.05, momentum=momentum, weight_decay=decay)
    rate = torch.optim.lr_scheduler.MultiStepLR(theirs, milestones)
    ours = Step(
        model,
        cross_entropy_loss,
        0.05,
        momentum=momentum,
        decay=decay,
        schedule=multistep(milestones, 0.1, 1),
    )

    for x, y in batches:
        theirs.zero_grad()
        loss = cross_entropy(twin(x), y)
        loss.backward()
        theirs.step()
        rate.step()
        assert float(ours(x, y)) == pytest.approx(loss.item(), abs=1e-6)

    for (name, p), q in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert torch.allclose(p, q, atol=1e-6, rtol=0), name
    assert torch.allclose(model.backbone[1].running_var, twin.backbone[1].running_var, atol=1e-6)
    assert ours.done == 6


def test_defaults_are_momentum_and_weight_decay(model, batches):
    twin = copy.deepcopy(model)
    ours, given = (
        Step(model, cross_entropy_loss, 0.1),
        Step(twin, cross_entropy_loss, 0.1, momentum=0.9, decay=5e-4),
    )
    for x, y in batches[:3]:
        ours(x, y)
        given(x, y)

    assert differing(state(model), state(twin)) == []


def test_step_returns_a_detached_loss_leaves_no_gradients_and_trains_in_train_mode(model, batches):
    step = Step(model.eval(), cross_entropy_loss, 0.1)

    assert not step(*batches[0]).requires_grad
    assert all(p.grad is None for p in model.parameters())
    assert model.training


def test_a_frozen_parameter_is_left_alone(model, batches):
    model.head.requires_grad_(False)
    before = weights(model)
    step = Step(model, cross_entropy_loss, 0.1)
    for x, y in batches[:2]:
        step(x, y)

    assert set(differing(before, weights(model))) == {n for n in before if not n.startswith("head")}


def test_where_the_mask_is_zero_nothing_moves_in_spite_of_momentum_and_decay(model, batches):
    mask = random_mask(model, lambda u: (u < 0.5).float())
    before = weights(model)
    step = Step(model, cross_entropy_loss, 0.1, momentum=0.9, decay=0.1, mask=mask)
    for x, y in batches:
        step(x, y)

    for name, p in model.named_parameters():
        still = mask[name] == 0
        assert torch.equal(p[still], before[name][still]), name
        assert not torch.isclose(p[~still], before[name][~still], rtol=1e-6, atol=0).any(), name


def test_a_mask_of_zeros_moves_nothing_but_batch_statistics(model, batches):
    before = state(model)
    step = Step(model, cross_entropy_loss, 0.1, decay=0.1, mask=random_mask(model, torch.zeros_like))
    for x, y in batches:
        step(x, y)

    changed = differing(before, state(model))
    assert changed
    assert all("running" in n or "num_batches" in n for n in changed)


def test_a_mask_of_ones_is_no_mask(model, batches):
    twin = copy.deepcopy(model)
    masked = Step(model, cross_entropy_loss, 0.1, decay=0.1, mask=random_mask(model, torch.ones_like))
    plain = Step(twin, cross_entropy_loss, 0.1, decay=0.1)
    for x, y in batches:
        masked(x, y)
        plain(x, y)

    assert differing(state(model), state(twin)) == []


def test_a_soft_mask_scales_the_first_displacement(model, batches):
    mask = random_mask(model, lambda u: u)
    lr, decay, before, slope = 0.05, 0.1, weights(model), gradient(model, *batches[0])
    Step(model, cross_entropy_loss, lr, decay=decay, mask=mask)(*batches[0])

    for name, p in model.named_parameters():
        expected = -lr * mask[name] * (slope[name] + decay * before[name])
        assert torch.allclose(p - before[name], expected, atol=1e-6), name


def test_the_mask_is_copied_and_must_fit(model, batches):
    mask = random_mask(model, torch.zeros_like)
    before = weights(model)
    step = Step(model, cross_entropy_loss, 0.1, mask=mask)
    for part in mask.values():
        part.fill_(1)
    step(*batches[0])

    assert differing(before, weights(model)) == []
    with pytest.raises(ValueError, match=r"no entry of shape \(3,\) for 'head\.bias'"):
        Step(model, cross_entropy_loss, 0.1, mask={n: m for n, m in mask.items() if n != "head.bias"})
    with pytest.raises(ValueError, match=r"'head\.bias'"):
        Step(model, cross_entropy_loss, 0.1, mask={**mask, "head.bias": torch.ones(4)})


def test_two_steps_on_one_model_keep_their_own_velocity(model, batches):
    twin = copy.deepcopy(model)
    (x, y), other = batches[0], batches[1]
    kept = Step(model, cross_entropy_loss, 0.0)
    kept(*other)
    Step(model, cross_entropy_loss, 0.1)(x, y)
    twin.train()(other[0])
    Step(twin, cross_entropy_loss, 0.1)(x, y)

    assert differing(weights(model), weights(twin)) == []


def test_no_learning_rate_leaves_weights_bit_identical(model, batches):
    before = weights(model)
    step = Step(model, cross_entropy_loss, 0.0, decay=0.1)
    for x, y in batches:
        step(x, y)

    assert differing(before, weights(model)) == []


def test_schedules():
    drops, fall, floored = multistep([2, 3], 0.1, 4), cosine(10), cosine(4, floor=0.2)

    assert [drops(i) for i in (0, 7, 8, 11, 12, 99)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert multistep([], 0.1, 4)(1000) == 1
    assert [fall(i) for i in (0, 5, 10, 12)] == pytest.approx([1, 0.5, 0, 0])
    assert fall(3) == pytest.approx((1 + math.cos(0.3 * math.pi)) / 2)
    assert [floored(i) for i in (0, 2, 4, 9)] == pytest.approx([1, 0.6, 0.2, 0.2])


def test_train_follows_the_recipe(model):
    """Against the loop written out with torch's SGD, on the same stream of batches."""
    rng = gen(4)
    pixels = torch.randint(256, (20, 1, 8, 8), generator=rng, dtype=torch.uint8)
    labels = torch.randint(3, (20,), generator=rng)

    def images():
        return ImageSet(
            "train",
            pixels,
            labels,
            batch_size=8,
            augmentation=Augmentation(1, flip=True),
            order_rng=gen(5),
            augmentation_rng=gen(6),
            ledger=Ledger(),
        )

    twin = copy.deepcopy(model)
    theirs = torch.optim.SGD(twin.parameters(), lr=0.05, momentum=0.5, weight_decay=0.01)
    batches = images()
    for epoch in range(3):
        theirs.param_groups[0]["lr"] = 0.05 * (0.2 if epoch >= 2 else 1)
        for x, y in batches:
            theirs.zero_grad()
            cross_entropy(twin(x), y).backward()
            theirs.step()
    train(model, images(), Recipe(epochs=3, lr=0.05, momentum=0.5, decay=0.01, milestones=[2], gamma=0.2))

    assert all(
        torch.allclose(p, q, atol=1e-5) for p, q in zip(model.parameters(), twin.parameters(), strict=True)
    )


def _rates(steps_per_epoch=4, **keys):
    recipe = Recipe(**keys)
    factor = schedule_of(recipe, steps_per_epoch)
    return [factor(step) for step in range(recipe.epochs * steps_per_epoch)]


def test_the_cosine_schedule_rises_in_a_straight_line_and_falls_to_zero():
    rates = _rates(epochs=6, schedule="cosine", warmup=2)

    assert rates[:8] == pytest.approx([k / 8 for k in range(1, 9)])
    assert rates[8:] == pytest.approx([(1 + math.cos(math.pi * k / 16)) / 2 for k in range(16)])


def test_milestones_and_a_warm_up_go_together():
    rates = _rates(epochs=6, milestones=[4], warmup=1)

    assert rates == pytest.approx([0.25, 0.5, 0.75] + [1.0] * 13 + [0.1] * 8)
    assert _rates(epochs=6, milestones=[4])[:4] == [1.0] * 4


def test_a_recipe_without_a_schedule_reads_and_writes_as_before_there_were_any():
    assert Recipe().model_dump() == {
        "epochs": 182, "lr": 0.1, "momentum": 0.9, "decay": 5e-4, "milestones": [91, 136], "gamma": 0.1
    }  # fmt: skip
    wave = Recipe(epochs=9, schedule="cosine", warmup=1)
    assert wave.milestones == []
    assert Recipe(**wave.model_dump()) == wave


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"schedule": "cosine", "milestones": [5]}, "has no milestones"),
        ({"epochs": 3, "milestones": [], "warmup": 3}, "warmup = 3 leaves nothing of 3 epochs"),
        ({"schedule": "linear"}, "schedule"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(keys, said):
    with pytest.raises(ValueError, match=said):
        Recipe(**keys)
