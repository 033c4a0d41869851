"""CF-k: which layers are the last, and that no other weight moves."""

import pytest
import torch

from mubench.api.classifier import Classifier
from mubench.methods.cf_k import cf_k, last_layers
from mubench.methods.ft import fine_tune
from mubench.models.resnet import resnet8
from mubench.models.small import small_cnn


def names(model, k):
    layers = {id(m): n for n, m in model.named_modules()}
    return [layers[id(m)] for m in last_layers(model, k)]


def network(backbone, width):
    return Classifier(backbone, width, 10, torch.zeros(1), torch.ones(1))


def test_layers_are_counted_from_the_head_and_norms_belong_to_those_before_them():
    model = network(*small_cnn(1))

    assert names(model, 1) == ["head"]
    assert names(model, 2) == ["backbone.7", "backbone.8", "head"]
    assert names(model, 4) == names(model, 99) == [f"backbone.{i}" for i in (0, 1, 4, 5, 7, 8)] + ["head"]


def test_a_resnets_last_block_and_head_are_four():
    block = [f"backbone.5.{part}" for part in ("conv1", "bn1", "conv2", "bn2", "shortcut.0", "shortcut.1")]

    assert names(network(*resnet8(3)), 4) == [*block, "head"]


def test_no_layer_is_refused(lab):
    with pytest.raises(ValueError, match="k = 0 leaves no layer to train"):
        lab().run(cf_k, k=0)


def test_only_the_head_moves_as_in_regression_on_the_features(lab, bits):
    def slow(model, task):
        sgd = torch.optim.SGD(model.head.parameters(), 0.05, momentum=0.9, weight_decay=5e-4)
        model.train()
        for x, y in task.retain.epochs(3):
            h = model.features(x).detach()
            sgd.zero_grad()
            torch.nn.functional.cross_entropy(model.head(h), y).backward()
            sgd.step()

    done = lab().run(cf_k, epochs=3, lr=0.05)

    expected = lab().run(slow, like=cf_k)
    torch.testing.assert_close(done.after, expected.after, atol=1e-6, rtol=1e-5)
    assert bits(done.buffers_after, expected.buffers_after)
    assert {n for n, move in done.moves.items() if move.any()} == {"head.weight", "head.bias"}


def test_frozen_statistics_follow_the_retain_set(lab, bits):
    done = lab().run(cf_k, epochs=1)

    assert not bits(done.buffers_before, done.buffers_after)


def test_all_layers_are_fine_tuning(lab, bits):
    done, tuned = lab().run(cf_k, epochs=2, k=2), lab().run(fine_tune, epochs=2)

    assert bits(done.after, tuned.after)
    assert bits(done.buffers_after, tuned.buffers_after)


def test_all_weights_can_be_trained_afterwards(lab):
    done = lab().run(cf_k, epochs=1)

    assert all(p.requires_grad for p in done.model.parameters())


def test_what_the_retain_set_says_is_learned(lab):
    bench = lab(augment=False)
    bench.data["retain"] = bench.data["retain"][0], (bench.y("retain") + 1) % 3

    done = bench.run(cf_k, epochs=20, lr=0.1)

    assert bench.loss(done.model, "retain") < 0.5 * bench.loss(bench.model(), "retain")


def test_rate_zero_leaves_the_weights(lab, bits):
    done = lab().run(cf_k, lr=0.0, k=2)

    assert bits(done.before, done.after)


def test_cost_is_epochs_times_n_r_and_forget_is_never_touched(lab):
    done = lab(n_r=15).run(cf_k, epochs=3)

    assert cf_k.__mubench__[0].sees == ("retain",)
    assert done.cost == (45, 45)
    assert done.ledger.reads == {"forget": 0, "retain": 45}
