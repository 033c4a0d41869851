"""The networks of the paper's settings: sizes as published, shapes for every image size in use."""

import pytest
import torch
from helpers import gen

from mubench.discovery.find import Catalogue
from mubench.discovery.models import build
from mubench.errors import UsageError

MODELS = Catalogue().models

RGB = torch.full((3,), 0.5), torch.full((3,), 0.25)
GREY = torch.tensor([0.3]), torch.tensor([0.3])


def net(name, stats=RGB, classes=10, seed=0):
    return build(MODELS[name], classes, *stats, gen(seed)).eval()


# ResNet-18: the count the SalUn protocol reports for ten and a hundred classes. ResNet-8 and -20: by
# hand, from 16, 32 and 64 channels with 1x1 shortcuts. VGG: 14,714,688 in the convolutions and BatchNorm.
@pytest.mark.parametrize(
    ("name", "classes", "weights"),
    [
        ("resnet18", 10, 11_173_962),
        ("resnet18", 100, 11_220_132),
        ("resnet50", 10, 23_520_842),
        ("resnet20", 10, 272_474),
        ("resnet8", 10, 78_042),
        ("resnet8x2-s2", 10, 308_650),
        ("vgg16-bn", 10, 14_728_266),
    ],
)
def test_number_of_weights(name, classes, weights):
    assert sum(p.numel() for p in net(name, classes=classes).parameters()) == weights


@pytest.mark.parametrize(
    "name", ["resnet8", "resnet20", "resnet18", "vgg16-bn", "vgg11", "mobilenet_v3_small"]
)
@pytest.mark.parametrize(("stats", "size"), [(RGB, 32), (GREY, 28)])
def test_small_images_of_either_kind(name, stats, size):
    model = net(name, stats, classes=7)
    x = torch.rand(2, len(stats[0]), size, size)
    with torch.no_grad():
        logits = model(x)
        assert logits.shape == (2, 7)
        assert torch.allclose(model.head(model.features(x)), logits, atol=1e-5)


def test_the_stem_halves_nothing():
    model = net("resnet18")
    sizes = []
    model.backbone.layer1.register_forward_hook(lambda _, inputs, out: sizes.append(inputs[0].shape[2:]))
    with torch.no_grad():
        model(torch.rand(1, 3, 32, 32))

    assert sizes == [(32, 32)]


@pytest.mark.parametrize("name", ["resnet8", "mobilenet_v3_small"])
def test_first_weights_come_from_the_stream_alone(name):
    torch.manual_seed(1)
    first = net(name).state_dict()
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second, third = net(name).state_dict(), net(name, seed=1).state_dict()

    assert all(torch.equal(first[k], second[k]) for k in first)
    assert any(not torch.equal(first[k], third[k]) for k in first)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("wrong", "nearest"), [("resnet-18", "resnet18"), ("vgg16bn", "vgg16"), ("resnet9", "resnet")]
)
def test_an_unknown_model_names_the_nearest(wrong, nearest):
    with pytest.raises(UsageError, match=f"unknown model '{wrong}'.*'{nearest}"):
        MODELS.find(wrong)


def test_networks_of_a_fixed_image_size_are_not_offered():
    with pytest.raises(UsageError, match="unknown model 'vit_b_16'"):
        MODELS.find("vit_b_16")
