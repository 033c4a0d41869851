"""Classifiers: what comes out, what is counted, and what decides their first weights."""

import copy

import pytest
import torch
from helpers import gen

from mubench.discovery.find import Catalogue
from mubench.discovery.models import build
from mubench.errors import UsageError
from mubench.running.contract import differing

MODELS = Catalogue().models

STATS = torch.tensor([0.4, 0.1]), torch.tensor([0.3, 0.2])


@pytest.fixture
def x():
    return torch.rand(5, 2, 8, 8, generator=gen(1))


@pytest.fixture(params=["small-cnn", "small-mlp", "resnet8"])
def model(request):
    return build(MODELS[request.param], 4, *STATS, gen()).train()


def test_logits_features_and_head_belong_together(model, x):
    model.eval()
    logits, features = model(x), model.features(x)

    assert (logits.shape, logits.dtype) == ((5, 4), torch.float32)
    assert (features.ndim, features.dtype) == (2, torch.float32)
    assert torch.allclose(model.head(features), logits, atol=1e-5)


def test_normalisation_lies_inside(model, x):
    bare = copy.deepcopy(model)
    bare.mean.zero_()
    bare.std.fill_(1)
    normalised = (x - STATS[0][:, None, None]) / STATS[1][:, None, None]

    assert torch.allclose(model.eval()(x), bare.eval()(normalised), atol=1e-5)
    assert not torch.allclose(model(x), bare(x), atol=1e-2)


def test_logits_are_float32_under_bfloat16(model, x):
    exact = model.eval()(x)
    model.autocast = torch.bfloat16

    rough = model(x)

    assert (rough.dtype, model.features(x).dtype) == (torch.float32, torch.float32)
    assert not torch.equal(rough, exact)
    assert torch.allclose(rough, exact, atol=0.2, rtol=0.1)


def test_passes_are_counted(model, x):
    ledger = model.ledger

    with torch.no_grad():
        model(x)
    assert (ledger.forward, ledger.backward) == (5, 0)
    loss = model(x).sum() + model.features(x[:3]).sum()
    assert (ledger.forward, ledger.backward) == (13, 0)
    loss.backward()
    assert (ledger.forward, ledger.backward) == (13, 8)
    torch.autograd.grad(model(x[:2]).sum(), list(model.parameters()))
    assert (ledger.forward, ledger.backward) == (15, 10)
    model.features(x).detach()
    assert (ledger.forward, ledger.backward) == (20, 10)


def test_passes_of_copies_count_into_the_same_ledger(model, x):
    teacher = copy.deepcopy(model).requires_grad_(False)

    teacher(x)

    assert teacher.ledger is model.ledger
    assert (model.ledger.forward, model.ledger.backward) == (5, 0)
    assert teacher.head.weight.data_ptr() != model.head.weight.data_ptr()


def test_first_weights_depend_on_the_generator_alone():
    torch.manual_seed(1)
    one = build(MODELS["small-cnn"], 4, *STATS, gen(3)).state_dict()
    torch.manual_seed(2)
    two = build(MODELS["small-cnn"], 4, *STATS, gen(3)).state_dict()
    other = build(MODELS["small-cnn"], 4, *STATS, gen(4)).state_dict()

    assert differing(one, two) == []
    trained = [n for n in one if n.startswith("head") or one[n].ndim == 4]
    assert set(trained) - set(differing(one, other)) == {"mean", "std"}


def test_unknown_model():
    with pytest.raises(UsageError, match=r"unknown model 'small-cn'\. Did you mean 'small-cnn'"):
        MODELS.find("small-cn")
