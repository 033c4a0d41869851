"""timm's networks by name: sizes, resizing, keys, and what is said where timm is missing."""

from importlib import metadata

import pytest
import torch
from helpers import gen

from mubench.discovery.find import Catalogue
from mubench.discovery.models import build
from mubench.errors import UsageError

MODELS = Catalogue().models
HALF = torch.full((3,), 0.5), torch.full((3,), 0.25)


@pytest.fixture
def timm():
    """The package, which not every installation has."""
    return pytest.importorskip("timm", reason="timm is not installed")


def net(name, stats=HALF, classes=10, seed=0):
    return build(MODELS.find(name), classes, *stats, gen(seed)).eval()


def test_a_vision_transformer_takes_small_images(timm):
    model = net("timm:vit_tiny_patch16_224")

    # 192 wide, 12 blocks: as timm counts it without its head of 192 x 1000 + 1000, and with ours
    theirs = timm.create_model("vit_tiny_patch16_224", pretrained=False, num_classes=0)
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in theirs.parameters()) + 1930
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert model(x).shape == (2, 10)
        assert model.features(x).shape == (2, 192)
        large = torch.nn.functional.interpolate(x, (224, 224), mode="bilinear", align_corners=False)
        torch.testing.assert_close(model(large), model(x), atol=1e-4, rtol=1e-4)


def test_grey_images_and_a_head_that_is_wider_than_the_network(timm):
    model = net("timm:test_efficientnet", (torch.tensor([0.3]), torch.tensor([0.3])), classes=4)

    with torch.no_grad():
        assert model(torch.rand(2, 1, 28, 28)).shape == (2, 4)
    assert net("timm:mobilenetv3_small_050").head.in_features == 1024  # 288 channels before its last layer


def test_first_weights_come_from_the_stream_alone(timm):
    torch.manual_seed(1)
    first = net("timm:test_vit").state_dict()
    torch.manual_seed(2)
    second, third = net("timm:test_vit").state_dict(), net("timm:test_vit", seed=1).state_dict()

    assert all(torch.equal(first[k], second[k]) for k in first)
    assert not torch.equal(first["backbone.network.pos_embed"], third["backbone.network.pos_embed"])


def test_a_wrong_name_is_told_the_nearest(timm):
    with pytest.raises(UsageError, match=r"no model 'vit_tinny_patch16_224'.*'vit_tiny_patch16_224'"):
        net("timm:vit_tinny_patch16_224")


def test_the_version_is_part_of_the_source(monkeypatch):
    monkeypatch.setattr(metadata, "version", {"timm": "1.0"}.__getitem__)
    one = MODELS.find("timm:test_vit")
    monkeypatch.setattr(metadata, "version", {"timm": "1.1"}.__getitem__)

    assert one.name == "timm:test_vit"
    assert one.source != MODELS.find("timm:test_vit").source


def test_without_timm_one_line_says_what_to_install(monkeypatch):
    def absent(package):
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", absent)

    with pytest.raises(UsageError) as caught:
        MODELS.find("timm:test_vit")
    expected = "model 'timm:test_vit' needs the package timm, which is not installed: pip install timm"
    assert str(caught.value) == expected


def test_other_models_are_as_declared():
    assert MODELS.find("resnet18") is MODELS["resnet18"]


@pytest.mark.slow  # a transformer is trained in two processes
def test_a_suite_with_a_transformer(timm, bench):
    _, outcomes, _ = bench('model = "timm:test_vit"\nmethods = ["FT"]')

    assert {o.status for o in outcomes.values()} == {"ok"}, outcomes
