"""The published code's split: off by as much as it was published, marked, and no part of clean runs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mubench.discovery.find import Catalogue
from mubench.errors import UsageError
from mubench.planning import plan as harness
from mubench.planning import suite
from mubench.planning.legacy_split import legacy_validation
from mubench.planning.splits import make_partition, make_split
from mubench.reporting import results
from mubench.storage.store import Store

RESULTS = Path(__file__).parents[2] / "results" / "published"
LEGACY = 'split = "salun-legacy"'
BLOCKS = np.repeat(np.arange(10), 5000)
ORDERS = {
    "in blocks": BLOCKS,
    "in turn": np.arange(50_000) % 10,
    "shuffled": np.random.default_rng(3).permutation(BLOCKS),
}


def cifar_like(order):
    """CIFAR-10's labels in this order, and 10,000 test images behind them."""
    return np.concatenate([ORDERS[order], np.arange(10_000) % 10]), np.arange(60_000) >= 50_000


@pytest.mark.parametrize("order", ORDERS)
def test_as_many_images_are_unseen_as_in_the_published_code(order):
    labels, test = cifar_like(order)

    found = make_partition("salun-legacy", labels, test, 10.0)

    train, val, original = found.train, found.val, found.original
    assert (len(train), len(val), len(found.test), len(original)) == (45_000, 5_000, 10_000, 45_000)
    unseen = np.setdiff1d(train, original)
    per_class = np.bincount(labels[unseen])
    assert len(unseen) == 4_488
    assert (per_class.min(), per_class.max()) == (442, 459)
    assert np.isin(val, original).sum() == 4_488
    assert np.bincount(labels[val]).tolist() == [500] * 10
    assert not test[np.concatenate([train, val, original])].any()


def test_the_published_rule_rounds_down_and_depends_on_its_seed_alone():
    labels, test = cifar_like("shuffled")
    labels = np.delete(labels, np.flatnonzero(labels == 4)[:9])
    test = test[9:]

    one, again = (legacy_validation(labels, test, 10.0, 2) for _ in range(2))

    assert np.array_equal(one, again)
    assert np.bincount(labels[one])[4] == 499  # int(0.1 * 4,991): rounded down, as published


def test_the_clean_split_trains_the_original_on_forget_and_retain():
    labels, test = cifar_like("shuffled")

    found = make_partition("clean", labels, test, 10.0)

    assert found.original is None
    for name, expected in zip(("train", "val", "test"), make_split(labels, test, 10.0), strict=True):
        assert np.array_equal(getattr(found, name), expected)


def test_the_clean_split_is_still_the_one_of_the_committed_results(tmp_path):
    """Else every record that people have would be lost, and tables of two versions not comparable."""
    saved = json.loads((RESULTS / "digits-class-3" / "manifest.json").read_text(encoding="utf-8"))
    loaded = suite.load(suite.find("digits-class-3"))

    plan = harness.make_plan(loaded, Catalogue(), Store(tmp_path), "cpu")

    found = {str(seed): {"digest": s.digest, **s.manifest()} for seed, s in plan.blocks[0].splits.items()}
    assert found == saved["splits"]


def test_a_class_too_small_for_the_published_rule(raw):
    with pytest.raises(UsageError, match=r"class 0 has 40 training images.*2 %.*salun-legacy"):
        make_partition("salun-legacy", raw.labels, raw.test, 2.0)


def test_the_manifest_records_how_far_the_original_is_off(bench):
    split = bench(LEGACY, dry=True).blocks[0].splits[0]
    entries = split.manifest()

    assert split.partition.original is not None
    expected = np.setdiff1d(np.union1d(split.forget, split.retain), split.partition.original)
    assert split.partition.unseen.tolist() == expected.tolist()
    assert entries["unseen"]["count"] == len(expected) > 0
    assert entries["original"]["count"] == 108
    assert entries["val_seen"]["count"] == np.isin(split.val, split.partition.original).sum() > 0


def test_a_clean_manifest_says_nothing_of_it(bench):
    split = bench(dry=True).blocks[0].splits[0]

    assert list(split.manifest()) == ["train", "val", "test", "forget", "retain"]
    assert len(split.partition.unseen) == len(split.partition.val_seen) == 0


def test_the_original_is_trained_on_its_own_pool_and_methods_on_the_other(home, bench, monkeypatch):
    from mubench.running import task
    from mubench.running.bench import Bench
    from mubench.running.worker import run_one
    from mubench.storage.store import Store

    taken = {}
    real = task.make_set

    def spy(name, data, *arguments, **options):
        taken.setdefault(name, data[0])
        return real(name, data, *arguments, **options)

    monkeypatch.setattr(task, "make_set", spy)
    monkeypatch.setattr("mubench.running.cell.make_set", spy)
    plan, store = bench(LEGACY, dry=True), Store(home / "store")
    assert {run_one(cell, store).status for cell in plan.cells} == {"ok"}
    split, images = plan.blocks[0].splits[0], Bench(plan.cells[0].setting, store).images

    assert torch.equal(taken["train"], images[split.partition.original])
    assert torch.equal(taken["retain"], images[split.retain])
    assert not np.array_equal(split.partition.original, split.train)
    record = store.get(plan.rows[0].keys[0])
    assert record.about["split"]["unseen"]["count"] == len(split.partition.unseen)


def test_no_record_of_a_legacy_run_is_taken_for_a_clean_one(bench, keys):
    clean, legacy = keys(bench(dry=True)), keys(bench(LEGACY, dry=True))

    assert all(clean[row][0] != legacy[row][0] for row in clean)


def test_the_originals_images_are_in_its_key(bench, keys, monkeypatch):
    base = keys(bench(LEGACY, dry=True))
    monkeypatch.setattr("mubench.planning.legacy_split.ORIGINAL_SEED", 3)
    found = keys(bench(LEGACY, dry=True))

    assert all(found[row][0] != base[row][0] for row in base)


def test_the_table_says_it_loudly(bench):
    plan = bench(LEGACY, dry=True)
    loud, quiet = (results.from_plan(p, "tiny", {}) for p in (plan, bench(dry=True)))
    unseen = len(plan.blocks[0].splits[0].partition.unseen)

    assert loud.title == "tiny (LEGACY SPLIT, not comparable)"
    assert f"LEGACY SPLIT (salun-legacy): the original never saw {unseen} of the 108 images" in loud.notes[0]
    assert "Never compare" in loud.notes[1]
    assert loud.model_extra["resolved"]["split"] == "salun-legacy"
    assert loud.model_extra["splits"]["0"]["unseen"]["count"] == unseen
    assert not any("LEGACY" in text for text in (quiet.title, *quiet.notes))
