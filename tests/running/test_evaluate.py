"""predict: what the model says of images, in full precision and batches that fit, and nothing left behind."""

import copy

import pytest
import torch
from torch import nn

from mubench.discovery.find import Catalogue
from mubench.discovery.models import build
from mubench.running.contract import differing
from mubench.running.evaluate import predict

MODELS = Catalogue().models


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def model():
    return build(MODELS["small-cnn"], 3, torch.tensor([0.4]), torch.tensor([0.3]), gen()).train()


def state(model):
    return {n: t.detach().clone() for n, t in model.state_dict().items()}


@pytest.mark.parametrize("training", [True, False])
def test_predict_leaves_the_model_as_it_was(model, training):
    model.train(training)
    before = state(model)
    images = torch.randint(256, (30, 1, 8, 8), generator=gen(7), dtype=torch.uint8)
    untouched = images.clone()

    logits, features = predict(model, images, batch_size=7)

    assert differing(before, state(model)) == []
    assert model.training is training
    assert not model.head._forward_pre_hooks
    assert torch.equal(images, untouched)
    model.eval()
    with torch.no_grad():
        assert torch.allclose(logits, model(images / 255), atol=1e-5)
        assert torch.allclose(features, model.features(images / 255), atol=1e-5)
        assert torch.allclose(model.head(features), logits, atol=1e-5)


def test_predict_restores_mode_and_hooks_after_a_failure(model):
    with pytest.raises(RuntimeError):
        predict(model, torch.zeros(2, 5, 8, 8, dtype=torch.uint8))

    assert model.training
    assert not model.head._forward_pre_hooks


def test_predict_does_without_a_head():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))

    logits, features = predict(model, torch.zeros(3, 1, 2, 2, dtype=torch.uint8))

    assert (logits.shape, features) == ((3, 2), None)


class Narrow(nn.Module):
    """Has room for `room` images at once; the head has run by then."""

    def __init__(self, room):
        super().__init__()
        self.head, self.room, self.asked = nn.Linear(4, 2), room, []

    def forward(self, x):
        self.asked.append(len(x))
        logits = self.head(x.flatten(1))
        if len(x) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return logits


def test_predict_takes_fewer_images_at_once_where_memory_is_short():
    images = torch.randint(256, (21, 1, 2, 2), generator=gen(0), dtype=torch.uint8)
    narrow = Narrow(5)
    wide = copy.deepcopy(narrow)
    wide.room = 100

    results = predict(narrow, images, batch_size=16), predict(wide, images, batch_size=16)

    assert narrow.asked == [16, 8, 4, 4, 4, 4, 4, 1]
    for found, expected in zip(*results, strict=True):
        assert torch.allclose(found, expected, atol=1e-6)
    with pytest.raises(torch.OutOfMemoryError):
        predict(Narrow(0), images)


def test_predict_is_in_full_precision_however_the_model_was_trained(model):
    images = torch.randint(256, (30, 1, 8, 8), generator=gen(7), dtype=torch.uint8)
    full = predict(model, images)
    model.autocast = torch.bfloat16
    model.eval()
    with torch.no_grad():
        rounded = model(images / 255)

    assert torch.equal(predict(nn.Sequential(model), images)[0], full[0])
    assert all(torch.equal(a, b) for a, b in zip(predict(model, images), full, strict=True))
    assert not torch.equal(rounded, full[0])
    assert model.autocast is torch.bfloat16
