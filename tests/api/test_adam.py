"""AdamStep: against torch's AdamW, under masks, and the masks it refuses."""

import pytest
import torch
from torch import nn

from mubench import AdamStep, cross_entropy_loss
from mubench.api.row_mask import RowMask


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()


def batches(count=5):
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(count, 6, 3, dtype=torch.float64, generator=rng)
    return [(one, torch.arange(6) % 2) for one in x]


def twin(model):
    copy = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()
    copy.load_state_dict(model.state_dict())
    return copy


def zeros_and_ones(model):
    rng = torch.Generator().manual_seed(2)
    return {
        n: torch.randint(0, 2, p.shape, generator=rng, dtype=torch.float64)
        for n, p in model.named_parameters()
    }


@pytest.mark.parametrize(("decay", "betas"), [(0.0, (0.9, 0.999)), (0.1, (0.5, 0.9))])
def test_it_is_torchs_adamw(model, decay, betas):
    other = twin(model)
    optimiser = torch.optim.AdamW(other.parameters(), 0.02, betas, weight_decay=decay)
    falling = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda done: 0.5**done)
    step = AdamStep(
        model, cross_entropy_loss, 0.02, betas=betas, decay=decay, schedule=lambda done: 0.5**done
    )

    for batch in batches():
        loss = cross_entropy_loss(other, *batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        falling.step()
        torch.testing.assert_close(step(*batch), loss.detach())

    torch.testing.assert_close(model.state_dict(), other.state_dict())


def test_a_mask_of_ones_changes_nothing(model):
    other = twin(model)
    ones = {n: torch.ones_like(p) for n, p in model.named_parameters()}
    masked = AdamStep(model, cross_entropy_loss, 0.1, decay=0.1, mask=ones)
    bare = AdamStep(other, cross_entropy_loss, 0.1, decay=0.1)

    for batch in batches():
        masked(*batch)
        bare(*batch)

    torch.testing.assert_close(model.state_dict(), other.state_dict())


@pytest.mark.parametrize("by_the_suite", [False, True])
def test_weights_at_zero_are_bit_identical_and_the_others_move(model, by_the_suite):
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    mask = zeros_and_ones(model)
    laid = RowMask("hard", mask, model) if by_the_suite else None
    step = AdamStep(model, cross_entropy_loss, 0.1, decay=0.1, mask=None if by_the_suite else mask)

    for batch in batches():
        step(*batch)

    for name, p in model.named_parameters():
        moved = p.detach() != before[name]
        assert not moved[mask[name] == 0].any()
    assert any((p.detach() != before[n]).any() for n, p in model.named_parameters())
    if laid:
        laid.check("mine", model)


@pytest.mark.parametrize("by_the_suite", [False, True])
def test_a_soft_mask_is_refused(model, by_the_suite):
    mask = zeros_and_ones(model)
    mask["2.weight"][0, 0] = 0.37
    if by_the_suite:
        RowMask("soft", mask, model)

    with pytest.raises(ValueError, match=r"zeros and ones, and '2\.weight' holds 0\.37: .* Use Step"):
        AdamStep(model, cross_entropy_loss, 0.1, mask=None if by_the_suite else mask)


def test_a_mask_that_does_not_fit_is_refused(model):
    mask = zeros_and_ones(model)
    del mask["1.bias"]

    with pytest.raises(ValueError, match=r"no entry of shape \(4,\) for '1\.bias'"):
        AdamStep(model, cross_entropy_loss, 0.1, mask=mask)


def test_frozen_layers_are_left_alone(model):
    model[0].requires_grad_(False)
    before = model[0].weight.clone()

    AdamStep(model, cross_entropy_loss, 0.1)(*batches()[0])

    assert torch.equal(model[0].weight, before)
